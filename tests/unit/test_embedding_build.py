"""Building the model's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.embedding import weights
from app.embedding.build import FolderNotOurs, build, is_whole, main
from app.embedding.manifest import FILES, read_manifest
from app.embedding.weights import WeightsUnusable, model_folder


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("build") / "model"
    assert build(folder)
    return folder


def test_two_builds_give_the_same_bytes(built: Path, model_dir: Path) -> None:
    assert read_manifest(built) == read_manifest(model_dir)
    assert is_whole(built)


def test_building_again_changes_nothing(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in built.iterdir()}
    assert main([str(built)]) == 0
    assert {path.name: path.stat().st_mtime_ns for path in built.iterdir()} == before
    assert "there and right" in capsys.readouterr().out


def test_verify_finds_one_changed_byte_and_building_repairs_it(
    built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = built / "int8.onnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    read_manifest(built)  # the cheap check cannot see it
    assert main(["--verify", str(built)]) == 1
    assert "another SHA-256" in capsys.readouterr().out
    assert main([str(built)]) == 0
    assert main(["--verify", str(built)]) == 0


def test_nothing_but_the_model_is_left_beside_it(built: Path) -> None:
    assert [path.name for path in built.parent.iterdir()] == ["model"]
    assert {path.name for path in built.iterdir()} == {*FILES, "manifest.json"}


def test_a_folder_with_other_files_is_left_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("do not lose me")
    with pytest.raises(FolderNotOurs):
        build(tmp_path)
    assert main([str(tmp_path)]) == 1
    assert "thesis.txt" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text() == "do not lose me"


def test_other_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"something else")
    with pytest.raises(WeightsUnusable, match="has the checksum"):
        weights.read_weights(tmp_path)


def test_a_missing_package_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "PACKAGE", "no_such_package")
    with pytest.raises(WeightsUnusable, match="no-such-package is not installed"):
        model_folder()
