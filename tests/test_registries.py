"""What a registry of parts takes and says."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvbow.dictionary import DICTIONARIES, KMeansDictionary
from cvbow.features import DETECTORS, EXTRACTORS, Detector
from cvbow.registry import Registry
from cvbow.storage import load, save


class Found(Detector):
    def compute(self, image: object, limit: int | None) -> object:
        return None


@pytest.mark.parametrize(
    ("name", "part", "message"),
    [
        ("mine", Found(), r"the detector mine must be a subclass of Detector, got Found\(\)"),
        ("mine", KMeansDictionary, "the detector mine must be a subclass of Detector, got <class .*KMeans"),
        ("mine", len, "the detector mine must be a subclass of Detector, got <built-in function len>"),
        ("mine", Detector, "the detector mine must define detect or compute, which Detector does not"),
        ("mine", type("Half", (Detector,), {"detect": None}), "must define detect or compute, which Half does not"),
        ("mine", Found, "must define check_params, which Found does not"),
        ("a=b", Found, "the name of a detector must be letters, digits, -, . and single _, got 'a=b'"),
        ("a__b", Found, "the name of a detector must be letters"),
        ("", Found, "the name of a detector must be letters"),
        (3, Found, "the name of a detector must be letters"),
    ],
)
def test_what_is_no_part_is_refused(name: object, part: object, message: str) -> None:
    registry: Registry[object] = Registry("detector", Detector, {}, defines=("detect or compute", "check_params"))
    with pytest.raises(ValueError, match=message):
        registry[name] = part  # type: ignore[index]
    assert not registry


def test_a_wrong_name_is_told_the_right_one() -> None:
    with pytest.raises(ValueError, match=r"^detector 'haris' is unknown; did you mean harris\?$"):
        DETECTORS["haris"]
    with pytest.raises(ValueError, match=r"got 'mine'; if it is your own, import the module that registers it"):
        DETECTORS["mine"]
    with pytest.raises(ValueError, match=r"dictionary must be one of k-means, .*, got 3"):
        DICTIONARIES[3]  # type: ignore[index]
    assert DETECTORS.get("mine") is None
    assert "mine" not in DETECTORS


def test_what_is_registered_can_be_stored(tmp_path: Path) -> None:
    path = tmp_path / "part.cvbow"
    with pytest.raises(TypeError, match=r"test_registries.Found, which a model file cannot hold: register the class"):
        save(path, kind="part", state=Found(), metadata={})
    registry: Registry[type[Detector]] = Registry("detector", Detector, {"found": Found}, defines=("compute",))
    assert registry["found"] is Found
    save(path, kind="part", state=Found(), metadata={})
    assert type(load(path, kind="part").state) is Found


def test_parts_by_their_parameters() -> None:
    assert EXTRACTORS.taking("bin_sizes") == ("dense-sift", "color-statistics")
    assert set(DICTIONARIES.taking("n_words")) == set(DICTIONARIES) - {"vocabulary-tree"}
    assert EXTRACTORS.taking("no_such_parameter") == ()
