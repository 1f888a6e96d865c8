"""The errors that users catch."""

from __future__ import annotations

import pickle

import pytest

from cdk8s_spicedb import InvalidProps, Memory, ServerProps, SpiceDBError, SpiceDBProps
from cdk8s_spicedb.props import require


def test_invalid_props_is_a_value_error_and_a_spicedb_error() -> None:
    assert issubclass(InvalidProps, ValueError)
    assert issubclass(InvalidProps, SpiceDBError)


def test_invalid_props_can_be_pickled() -> None:
    with pytest.raises(InvalidProps) as caught:
        require(SpiceDBProps(datastore=Memory(), server=ServerProps(replicas=0)))
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.problems) == (str(caught.value), caught.value.problems)
