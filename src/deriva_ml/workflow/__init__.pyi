from deriva_ml.workflow.workflow import Workflow as Workflow
