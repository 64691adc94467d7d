"""pyproject.toml, environment.yml, constraints.txt, README.md and the imports name the same dependencies."""

import ast
import re
import sys
from pathlib import Path

import pytest
import torch
import yaml  # with jupyterlab
from packaging.requirements import Requirement  # with pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # with pytest, on Python 3.10

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RUNTIME = [Requirement(line) for line in PROJECT["dependencies"]]
COURSE, REFERENCE = (
    [Requirement(line) for line in PROJECT["optional-dependencies"][extra]] for extra in ("course", "reference")
)
ALL = RUNTIME + COURSE + REFERENCE
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}  # where conda-forge has another name
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]


def conda_packages() -> dict[str, Requirement]:
    entries = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    packages = [Requirement(entry) for entry in entries if isinstance(entry, str)]
    return {package.name: package for package in packages}


def constraints(python: str) -> list[Requirement]:
    """The lines of constraints.txt that hold for a version of Python."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return [pin for pin in pins if pin.marker is None or pin.marker.evaluate({"python_version": python})]


def imported_names() -> set[str]:
    """The top-level modules that the package imports from elsewhere, the standard library left out."""
    names = set()
    for path in (ROOT / "minigpt").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"minigpt"}


def test_conda_gets_the_same_packages_and_bounds_as_pip():
    conda = conda_packages()
    assert conda.pop("python").specifier == Requirement("python" + PROJECT["requires-python"]).specifier
    del conda["pip"]
    expected = {CONDA_NAMES.get(package.name, package.name): package.specifier for package in RUNTIME + COURSE}
    assert {name: package.specifier for name, package in conda.items()} == expected


def test_conda_installs_minigpt_itself():
    entries = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert {"pip": ["--editable ."]} in entries


def test_no_dependency_is_named_twice():
    names = [package.name for package in ALL]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("package", ALL, ids=lambda package: package.name)
def test_every_dependency_has_a_lower_bound(package):
    assert ">=" in {part.operator for part in package.specifier}


@pytest.mark.parametrize("python", PYTHONS)
def test_constraints_pin_each_dependency_once_within_its_bounds(python):
    pins = constraints(python)
    assert sorted(pin.name for pin in pins) == sorted(package.name for package in ALL)
    bounds = {package.name: package.specifier for package in ALL}
    for pin in pins:
        (exact,) = pin.specifier
        assert exact.operator == "==", pin
        assert exact.version in bounds[pin.name], f"{pin} is outside {bounds[pin.name]}"


def test_the_package_imports_each_run_time_dependency_and_nothing_else():
    assert imported_names() == {package.name for package in RUNTIME}


@pytest.mark.parametrize("package", ALL, ids=lambda package: package.name)
def test_the_readme_gives_the_reason_for_each_dependency(package):
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    reasons = [re.sub(r"\W+", " ", line) for line in lines if f"`{package.name}`" in line]
    assert any(len(reason.split()) >= 4 for reason in reasons), (
        f"README.md: a line with `{package.name}` and its reason"
    )


def test_torch_has_what_its_lower_bound_is_for():
    assert hasattr(torch.optim, "Muon")


def test_the_licence_is_the_one_that_the_project_names():
    assert (ROOT / "LICENSE").read_text().startswith(f"{PROJECT['license']} License")
