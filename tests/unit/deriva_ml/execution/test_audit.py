from deriva_ml.dataset import dataset as datasets
from deriva_ml.ermrest import rows
from deriva_ml.execution.audit import ProvenanceAuditReport, ProvenanceFinding, audit_provenance
from deriva_ml.schema.terms import UNKNOWN_EXECUTION


def test_datasets_without_a_known_maker_are_found(session, execute, rows_of):
    with execute() as exe:
        good = exe.create_dataset(description="good")
    exe.commit_output_assets()
    [unknown] = rows_of("Execution", Description=UNKNOWN_EXECUTION)
    degraded = datasets.create(session, execution_rid=unknown["RID"], description="degraded")
    bad = datasets.create(session, description="bad")
    report = audit_provenance(session)
    assert bad.dataset_rid in {found.dataset_rid for found in report.violations}
    assert degraded.dataset_rid in {found.dataset_rid for found in report.known_degraded}
    assert good.dataset_rid not in report.summary()
    assert not report.is_clean
    assert f"Dataset {bad.dataset_rid} 0.1.0: no producer recorded" in report.summary()
    rows.update(
        session.connection,
        session.table("Dataset"),
        [{"RID": bad.dataset_rid, "Deleted": True}],
        columns=["Deleted"],
    )
    assert bad.dataset_rid not in audit_provenance(session).summary()


def test_a_run_that_makes_a_dataset_of_nothing_known_is_marked(execute, rows_of, caplog):
    with execute() as exe:
        exe.create_dataset(dataset_types="Complete")
    assert rows_of("File_Execution", Execution=exe.execution_rid) == []
    exe.commit_output_assets()
    assert len(rows_of("File_Execution", Execution=exe.execution_rid)) == 1
    assert "origin is marked as unknown" in caplog.text


def test_only_the_current_version_counts(session, execute):
    """A dataset is judged by who made its current version, whoever made the others."""
    with execute() as exe:
        later_unknown = exe.create_dataset(description="good, then bad")
    exe.commit_output_assets()
    later_known = datasets.create(session, description="bad, then good")
    with execute() as exe:
        known = datasets.lookup(session, later_known.dataset_rid)
        known.increment_dataset_version("minor", "by a run", exe.execution_rid)
    datasets.lookup(session, later_unknown.dataset_rid).increment_dataset_version("minor", "by hand")
    report = audit_provenance(session)
    found = {finding.dataset_rid: finding for finding in report.violations}
    assert later_known.dataset_rid not in found
    finding = found[later_unknown.dataset_rid]
    assert (finding.version, finding.reason) == ("0.2.0", "null_producer")
    assert {finding.reason for finding in report.known_degraded} <= {"sentinel_producer"}
    first = report.summary().splitlines()[0]
    assert first == f"{len(report.violations)} violations, {len(report.known_degraded)} known to be degraded"


def test_a_report_without_violations_is_clean():
    assert ProvenanceAuditReport().is_clean
    assert ProvenanceAuditReport(
        known_degraded=[ProvenanceFinding("1-A", "0.1.0", "sentinel_producer")]
    ).is_clean
    lacking = ProvenanceFinding("1-A", None, "null_producer")
    assert not ProvenanceAuditReport(violations=[lacking]).is_clean
    assert str(lacking) == "Dataset 1-A (no version): no producer recorded"
