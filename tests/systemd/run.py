#!/usr/bin/env python3
"""Plays transcripts in a Debian with systemd, booted in a container: tests/systemd/run.py DEB [NEWER_DEB] [FAIL_POINTS_PROGRAM]

The container is made by debootstrap and systemd-nspawn, shares this machine's network, and is thrown away at the end.
Where either cannot be had, it says so and exits with 0. Beside it run an EDGAR (`edgar-watch demo --serve`) and a relay that
wants a password.

A line of a transcript is one of
    ## words         a comment
    $ command        run by root in the container; the lines up to the next of these are what it prints
    ? 1              how the command before ended, where that is not 0
    ~ command        run again and again until it ends with 0, for a minute at most
    @ file           EDGAR accepts one more staff determination
    @ mails 2        so many mails have come in all, within a minute
Within what is printed `[..]` stands for anything on a line, and `...` alone for any lines.
Names in capitals in braces are put in: {EDGAR}, {RELAY_PORT}, {ADMIN_PORT}, {DEB}, {NEWER_DEB}.
"""

import base64
import os
import re
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PASSWORD = "correct horse"
PATIENCE_S = 60


def skip(why):
    print(f"skipped: {why}")
    sys.exit(0)


class Relay(socketserver.ThreadingTCPServer):
    """A relay on loopback that takes mail from whoever knows the password, and keeps it."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Talk)
        self.mails = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Talk(socketserver.StreamRequestHandler):
    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self):
        self.say("220 relay.example.com ESMTP")
        is_known = False
        while line := self.rfile.readline().decode("latin-1").strip():
            verb = line.split(" ")[0].upper()
            if verb == "EHLO":
                self.say("250-relay.example.com")
                self.say("250-8BITMIME")
                self.say("250 AUTH PLAIN")
            elif verb == "AUTH":
                *_, password = base64.b64decode(line.split(" ")[2]).decode().split("\0")
                is_known = password == PASSWORD
                self.say("235 2.7.0 welcome" if is_known else "535 5.7.8 wrong password")
            elif verb == "MAIL" and not is_known:
                self.say("530 5.7.0 log in first")
            elif verb == "DATA":
                self.say("354 go ahead")
                mail = b""
                while (data := self.rfile.readline()) not in (b".\r\n", b""):
                    mail += data
                self.server.mails.append(mail)
                self.say("250 2.0.0 taken")
            elif verb == "QUIT":
                self.say("221 2.0.0 bye")
                return
            else:
                self.say("250 2.0.0 ok")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_root(folder):
    """The tree of a fresh Debian; made once and kept below target/, since it takes minutes."""
    kept = os.path.join(HERE, "..", "..", "target", "systemd", "debian.tar")
    if not os.path.exists(kept):
        tree = os.path.join(folder, "fresh")
        print("debootstrap ...", flush=True)
        made = subprocess.run(
            ["debootstrap", "--variant=minbase", "--include=systemd,systemd-sysv,dbus,ca-certificates", "bookworm", tree],
            capture_output=True, text=True)
        if made.returncode != 0:
            skip(f"debootstrap cannot make a Debian here: {(made.stdout + made.stderr).strip().splitlines()[-1:]}")
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        subprocess.run(["tar", "--create", "--file", kept + ".tmp", "--directory", tree, "."], check=True)
        os.rename(kept + ".tmp", kept)
    root = os.path.join(folder, "root")
    os.makedirs(root)
    subprocess.run(["tar", "--extract", "--file", kept, "--directory", root], check=True)
    return root


class Container:
    def __init__(self, root):
        self.log = tempfile.TemporaryFile("w+")
        self.nspawn = subprocess.Popen(
            ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--console=pipe", "--directory", root,
             "--machine=edgar-watch-test", "--boot"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True)
        self.init = None
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until and self.nspawn.poll() is None:
            children = f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children"
            pids = open(children).read().split() if os.path.exists(children) else []
            self.init = int(pids[0]) if pids else None
            if self.init and self.run("systemctl is-system-running").stdout.strip() in ("running", "degraded"):
                return
            time.sleep(0.2)
        self.log.seek(0)
        words = self.log.read().strip().splitlines()[-3:]
        self.stop()
        skip(f"no container boots here: {words}")

    def run(self, command):
        return subprocess.run(
            ["nsenter", f"--target={self.init}", "--all", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8",
             "SYSTEMD_PAGER=cat", "bash", "-c", command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def stop(self):
        if self.nspawn.poll() is None:
            # To its init: power off at once.
            self.nspawn.send_signal(signal.SIGTERM)
            try:
                self.nspawn.wait(20)
            except subprocess.TimeoutExpired:
                self.nspawn.kill()
                self.nspawn.wait()


def matches(expected, found):
    """Whether lines fit: `[..]` is anything on a line, `...` any lines."""
    parts = []
    for line in expected:
        if line.strip() == "...":
            parts.append(r"(?:.*\n)*?")
        else:
            parts.append(r"[^\n]*".join(re.escape(part) for part in line.split("[..]")) + r"\n")
    return re.fullmatch("".join(parts), "".join(line + "\n" for line in found)) is not None


def steps(path, names):
    text = open(path).read()
    for name, value in names.items():
        text = text.replace("{" + name + "}", value)
    step = None
    for number, line in enumerate(text.splitlines(), 1):
        if line[:2] in ("##", "$ ", "~ ", "@ "):
            if step:
                yield step
            step = None if line[0] == "#" else {"line": number, "sign": line[0], "words": line[2:], "expected": [], "code": 0}
        elif line.startswith("? "):
            step["code"] = int(line[2:])
        elif step:
            step["expected"].append(line)
    if step:
        yield step


def wait_until(what, is_so):
    until = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > until:
            return f"{what}: not within {PATIENCE_S} s"
        time.sleep(0.1)
    return None


def play(path, container, edgar, relay, names):
    """Plays one transcript; returns how many of its steps went otherwise than written."""
    n_faults = n_steps = 0
    count = None
    for step in steps(path, names):
        sign, words = step["sign"], step["words"]
        print(f"{sign} {words}", flush=True)
        n_steps += 1
        fault = None
        if sign == "@" and words == "file":
            edgar.stdin.write("\n")
            edgar.stdin.flush()
        elif sign == "@":
            count = int(words.split()[1])
            fault = wait_until(words, lambda: len(relay.mails) >= count)
            if len(relay.mails) > count:
                fault = f"{len(relay.mails)} mails, and not {count}"
        elif sign == "~":
            fault = wait_until(words, lambda: container.run(words).returncode == 0)
        else:
            done = container.run(words)
            found = done.stdout.rstrip("\n").split("\n") if done.stdout.strip() else []
            expected = step["expected"]
            while expected and not expected[-1]:
                expected.pop()
            for line in found:
                print(line)
            if done.returncode != step["code"]:
                fault = f"ended with {done.returncode}, and not {step['code']}"
            elif not matches(expected, found):
                fault = "printed other lines than:\n" + "\n".join("    " + line for line in expected)
        if fault:
            n_faults += 1
            print(f"!! {os.path.basename(path)}:{step['line']}: {fault}", flush=True)
    if count is not None:
        # Whoever is mailed twice is so within moments.
        time.sleep(3)
        if len(relay.mails) != count:
            n_faults += 1
            print(f"!! {os.path.basename(path)}: {len(relay.mails)} mails in the end, and not {count}")
    print(f"{os.path.basename(path)}: {n_steps} steps, {n_faults} faults", flush=True)
    return n_faults


def main():
    if os.geteuid() != 0:
        skip("only root boots containers")
    for program in ("debootstrap", "systemd-nspawn", "nsenter", "dpkg-deb"):
        if not shutil.which(program):
            skip(f"there is no {program}")
    debs = [os.path.abspath(path) for path in sys.argv[1:] if path.endswith(".deb")]
    programs = [os.path.abspath(path) for path in sys.argv[1:] if not path.endswith(".deb")]
    if not debs:
        sys.exit(__doc__)
    folder = tempfile.mkdtemp(prefix="edgar-watch-systemd-")
    container = edgar = None
    try:
        root = make_root(folder)
        names = {}
        for name, deb in zip(("DEB", "NEWER_DEB"), debs):
            shutil.copy(deb, os.path.join(root, "root"))
            names[name] = os.path.join("/root", os.path.basename(deb))
        for program in programs:
            shutil.copy(program, os.path.join(root, "root", "edgar-watch-fail-points"))
        unpacked = os.path.join(folder, "unpacked")
        subprocess.run(["dpkg-deb", "--extract", debs[0], unpacked], check=True)
        port = free_port()
        edgar = subprocess.Popen(
            [os.path.join(unpacked, "usr/bin/edgar-watch"), "demo", "--serve", f"127.0.0.1:{port}"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        relay = Relay()
        names |= {"EDGAR": f"http://127.0.0.1:{port}", "RELAY_PORT": str(relay.server_address[1]),
                  "ADMIN_PORT": str(free_port())}
        container = Container(root)
        n_faults = play(os.path.join(HERE, "install.txt"), container, edgar, relay, names)
        if programs:
            n_faults += play(os.path.join(HERE, "stuck.txt"), container, edgar, relay, names)
        else:
            print("skipped: stuck.txt, since no program with fail-points was named")
        n_faults += play(os.path.join(HERE, "purge.txt"), container, edgar, relay, names)
        sys.exit(1 if n_faults else 0)
    finally:
        if container:
            container.stop()
        if edgar:
            edgar.kill()
        shutil.rmtree(folder, ignore_errors=True)


main()
