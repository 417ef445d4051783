# 1. Inline — most common, right after the with block exits.
with ml.create_execution(cfg) as exe:
    ...
exe.commit_output_assets()

# 2. Resumed — e.g. recovery after a process restart.
exe = ml.resume_execution(rid)
exe.commit_output_assets()

# 3. Batch — drains every pending execution on the workspace.
report = ml.commit_pending_executions()           # all pending
report = ml.commit_pending_executions(            # explicit subset
    execution_rids=["EXE-A", "EXE-B"],
    clean_folder=True,                            # remove working dirs after
)

