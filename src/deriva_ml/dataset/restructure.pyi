from deriva_ml.dataset.arrange import TYPE_FOLDERS as TYPE_FOLDERS
from deriva_ml.dataset.arrange import Arrangement as Arrangement
from deriva_ml.dataset.arrange import arrange as arrange
