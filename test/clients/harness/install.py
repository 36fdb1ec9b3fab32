"""Installs the clients from their public registries into the checkout's cache, once for each version."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(os.path.dirname(HERE))
CACHE = os.path.join(ROOT, ".cache", "clients")


class InstallFailed(Exception):
    """A client could not be installed."""


def _run(*command, cwd=ROOT):
    done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        output = (done.stdout + done.stderr).strip()[-2000:]
        raise InstallFailed(f"{' '.join(command)}:\n{output}")


@contextlib.contextmanager
def _alone(directory):
    """Holds off whoever else would install there: another client of this run, or another run."""
    os.makedirs(CACHE, exist_ok=True)
    with open(f"{directory}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _once(name, requirement, build):
    """Calls build with a fresh directory unless one for the same requirement file is there."""
    with open(os.path.join(HERE, name, requirement), "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()[:16]
    directory = os.path.join(CACHE, f"{name}-{digest}")
    stamp = os.path.join(directory, ".complete")
    with _alone(directory):
        if not os.path.exists(stamp):
            shutil.rmtree(directory, ignore_errors=True)
            os.makedirs(directory)
            build(directory)
            open(stamp, "w").close()
    return directory


def python(name):
    """A virtual environment with a client's requirements; returns its interpreter."""

    def build(directory):
        _run(sys.executable, "-m", "venv", directory)
        requirements = os.path.join(HERE, name, "requirements.txt")
        _run(f"{directory}/bin/pip", "install", "-q", "--disable-pip-version-check", "-r", requirements)

    return os.path.join(_once(name, "requirements.txt", build), "bin", "python")


def node(name):
    """The locked npm packages of a client; returns their directory."""

    def build(directory):
        for file in ("package.json", "package-lock.json"):
            shutil.copy(os.path.join(HERE, name, file), directory)
        _run("npm", "ci", "--no-audit", "--no-fund", cwd=directory)

    return os.path.join(_once(name, "package-lock.json", build), "node_modules")


def jars(name):
    """The jars of Kafka's tools; returns their directory."""

    def build(directory):
        pom = os.path.join(HERE, name, "pom.xml")
        _run("mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", f"-DoutputDirectory={directory}")

    return _once(name, "pom.xml", build)


def go(name):
    """A client's Go program; returns the binary, built anew whenever its source changed."""
    binary = os.path.join(CACHE, name)
    _run("go", "build", "-o", binary, f"./test/clients/{name}")
    return binary


def debian(package):
    """A Debian package's program, installed where it is missing and apt-get may be used."""
    if shutil.which(package):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise InstallFailed(f"{package} is missing, and only root can install it: apt-get install {package}")
    _run("apt-get", "update", "-q")
    _run("apt-get", "install", "-q", "-y", "--no-install-recommends", package)
