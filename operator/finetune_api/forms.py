"""The forms that text must have, in words: pattern -> what it is, and how it is written."""

from __future__ import annotations

from finetune_api import part, pod_template

WORDS = {
    part.OBJECT_NAME: ("the name of a Kubernetes object", "Write small letters, digits, - and . only."),
    part.KEY: ("a key of a Secret or ConfigMap", "Write letters, digits, -, _ and . only."),
    part.FOLDER: (
        "a folder inside the volume",
        "Write it without a slash at the beginning or end, with letters, digits, -, _ and .; no part of it begins with a dot.",
    ),
    part.FOLDER_NAME: (
        "a folder at the top of the volume",
        "Write one name, without slashes, of letters, digits, -, _ and .; it does not begin with a dot.",
    ),
    part.MOUNT_PATH: ("an absolute path", "For example /scripts; without : and without a slash at the end."),
    part.QUANTITY: ("an amount", "Write a whole number or a number with a unit: 8, 500m, 64Gi."),
    part.QUALIFIED_NAME: ("a name that Kubernetes takes here", "Write NAME or PREFIX/NAME, as in example.com/team."),
    pod_template.LABEL_VALUE: (
        "the value of a label",
        "Write at most 63 letters, digits, -, _ and ., with a letter or digit at both ends.",
    ),
}
