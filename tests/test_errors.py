"""The errors that users catch."""

from __future__ import annotations

import pickle

import pytest

from cdk8s_spicedb import InvalidProps, Memory, ServerProps, SpiceDBError, SpiceDBProps
from cdk8s_spicedb.props import require


def test_invalid_props_can_be_caught_as_either_kind() -> None:
    assert issubclass(InvalidProps, ValueError)
    assert issubclass(InvalidProps, SpiceDBError)


def test_the_error_survives_the_way_to_another_process() -> None:
    with pytest.raises(InvalidProps) as caught:
        require(SpiceDBProps(datastore=Memory(), server=ServerProps(replicas=0)))
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.problems) == (str(caught.value), caught.value.problems)
