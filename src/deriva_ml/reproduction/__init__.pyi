from deriva_ml.reproduction.check import CheckReport as CheckReport
from deriva_ml.reproduction.check import check as check
from deriva_ml.reproduction.compare import Verdict as Verdict
from deriva_ml.reproduction.reproduce import Reproduction as Reproduction
from deriva_ml.reproduction.reproduce import reproduce as reproduce
