#!/usr/bin/env python3
"""EDGAR Watch beside what Python offers: HTML to text, and a submission to its documents.

    benches/peers/text.py [FOLDER_OF_HTML] [FOLDER_OF_SUBMISSIONS]

Installs the peers from PyPI into target/peers, reads every file of the folders with each, in one process and on one core,
and prints the median of some rounds. Ours are the medians of `cargo bench --bench reading`, run here and now.
"""

import os
import pathlib
import re
import statistics
import subprocess
import sys
import time
import venv

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLACE = ROOT / "target" / "peers"
PEERS = ["lxml==6.1.3", "beautifulsoup4==4.15.0", "edgartools==5.62.0", "secsgml==0.3.6"]


def enter_environment():
    """Runs this script again inside the virtual environment, made first if need be."""
    if pathlib.Path(sys.prefix) == PLACE:
        return
    python = PLACE / "bin" / "python"
    if not python.exists():
        venv.create(PLACE, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PEERS], check=True)
    os.execv(python, [python, *sys.argv])


def megabytes_a_second(read, files, rounds):
    """The median rate over rounds of reading all files, in 10^6 bytes a second."""
    size, seconds = sum(map(len, files)), []
    for _ in range(rounds):
        began = time.perf_counter()
        for data in files:
            read(data)
        seconds.append(time.perf_counter() - began)
    return size / statistics.median(seconds) / 1e6


def with_lxml(data):
    import lxml.html

    try:
        return lxml.html.document_fromstring(data).text_content()
    except lxml.etree.ParserError:
        return ""


def with_beautifulsoup(data):
    from bs4 import BeautifulSoup

    return BeautifulSoup(data, "lxml").get_text(" ")


def with_edgartools(data):
    from edgar.documents import parse_html

    return parse_html(data.decode("utf-8", "replace")).text()


def with_secsgml(data):
    from secsgml import parse_sgml_content_into_memory

    return parse_sgml_content_into_memory(bytes_content=data)


def ours(bench):
    """The median rate of one of our benches."""
    command = ["cargo", "bench", "--quiet", "--bench", "reading", "--", "--bytes-format", "decimal", bench]
    out = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    # name, time; then a line of rates: fastest, slowest, median, mean.
    rates = next(line for line in out.splitlines() if "B/s" in line)
    number, unit = re.findall(r"([\d.]+) ([KMG]?)B/s", rates)[2]
    return float(number) * {"": 1e-6, "K": 1e-3, "M": 1.0, "G": 1e3}[unit]


def compare(title, bench, files, peers):
    own = ours(bench)
    print(f"{title}: {len(files)} files, {sum(map(len, files)) / 1e6:.1f} MB")
    print(f"  {'edgar-watch':16} {own:9.1f} MB/s")
    for name, read, rounds in peers:
        rate = megabytes_a_second(read, files, rounds)
        print(f"  {name:16} {rate:9.1f} MB/s   edgar-watch is {own / rate:6.1f} times as fast", flush=True)


def main():
    enter_environment()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    html = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "../shared/edgar/html_8-K")
    submissions = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / "../shared/edgar/submissions_txt")
    pages = [path.read_bytes() for path in sorted(html.rglob("*")) if path.is_file()]
    text_peers = [("lxml", with_lxml, 5), ("BeautifulSoup", with_beautifulsoup, 1), ("edgartools", with_edgartools, 1)]
    compare("HTML to text", "html_to_normalised_text", pages, text_peers)
    compare("HTML to decision (the peers: to text alone)", "html_to_decision", pages, text_peers)
    files = [path.read_bytes() for path in sorted(submissions.rglob("*")) if path.is_file()]
    compare("submission to documents", "submission_to_documents", files, [("secsgml", with_secsgml, 5)])


if __name__ == "__main__":
    main()
