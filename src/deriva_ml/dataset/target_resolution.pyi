from deriva_ml.dataset.samples import Samples as Samples
from deriva_ml.dataset.samples import Sampling as Sampling
from deriva_ml.dataset.samples import Targets as Targets
from deriva_ml.dataset.samples import selectors_of as selectors_of
