"""What every group of fields of the API is made of: the frozen base model, and types that several groups share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

OBJECT_NAME = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"
#: Key of a ConfigMap or Secret.
KEY = r"^[A-Za-z0-9._-]+$"
#: A folder inside a volume: no leading slash, and no part that begins with a dot.
FOLDER = r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$"
#: A folder at the top of a volume.
FOLDER_NAME = r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$"
#: An absolute path in a container.
MOUNT_PATH = r"^(/[^/:\s]+)+$"
QUANTITY = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"
#: An optional prefix and a name, as in example.com/team.
QUALIFIED_NAME = r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"

Name = Annotated[str, StringConstraints(min_length=1, max_length=253)]
#: Name of another object in the job's namespace.
ObjectName = Annotated[str, StringConstraints(pattern=OBJECT_NAME, max_length=253)]
Key = Annotated[str, StringConstraints(pattern=KEY, max_length=253)]
Folder = Annotated[str, StringConstraints(pattern=FOLDER, max_length=512)]
FolderName = Annotated[str, StringConstraints(pattern=FOLDER_NAME, max_length=253)]
MountPath = Annotated[str, StringConstraints(pattern=MOUNT_PATH, max_length=512)]
#: An amount as Kubernetes writes it: 500m, 8, 64Gi.
Quantity = Annotated[str, StringConstraints(pattern=QUANTITY, max_length=32)] | Annotated[int, Field(ge=0)]
QualifiedName = Annotated[str, StringConstraints(pattern=QUALIFIED_NAME, max_length=317)]
Text = Annotated[str, StringConstraints(max_length=4096)]


class Part(BaseModel):
    """A frozen group of fields; unknown keys are refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, strict=True)


class PersistentVolumeClaim(Part):
    """A claim in the job's namespace."""

    claim_name: ObjectName = Field(description="Name of the claim.")


class SecretKey(Part):
    """One key of a Secret in the job's namespace."""

    name: ObjectName = Field(description="Name of the Secret.")
    key: Key = Field("token", description="Key in it.")
