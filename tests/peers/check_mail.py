#!/usr/bin/python3
"""Reads mails with Python's own parser and dkimpy, and prints what it found as JSON: one object a mail.

    check_mail.py RECORDS MAIL...

RECORDS is a JSON object of DNS TXT records by name. Each mail's structure is checked against RFC 5322, 2045, 2369, 2919,
3834 and 8058 as far as a reader can; what is wrong stands under "faults".
"""

import email
import email.policy
import email.utils
import json
import re
import sys

import dkim


def check(path, records):
    with open(path, "rb") as file:
        raw = file.read()
    if b"\r\n" not in raw:
        # A mail server keeps mail with the line ends of its system.
        raw = raw.replace(b"\n", b"\r\n")
    faults = []
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    for part in mail.walk():
        faults += [f"{part.get_content_type()}: {defect!r}" for defect in part.defects]
    for name in mail.keys():
        faults += [f"{name}: {defect!r}" for defect in getattr(mail[name], "defects", ())]
    # RFC 5322 3.6: these at most once, and Date and From exactly once.
    for name in ("Date", "From", "To", "Message-ID", "In-Reply-To", "References", "Subject"):
        if len(mail.get_all(name, [])) > 1:
            faults.append(f"{name} more than once")
    for name in ("Date", "From", "Message-ID"):
        if mail[name] is None:
            faults.append(f"no {name}")
    for line in raw.split(b"\r\n"):
        if len(line) > 998:
            faults.append("a line of more than 998 characters")
    if b"\n" in raw.replace(b"\r\n", b""):
        faults.append("a bare line feed")
    head = raw.split(b"\r\n\r\n", 1)[0]
    if not head.isascii():
        faults.append("a header that is not ASCII")
    id_shape = re.compile(r"<[^<>@\s]+@[^<>@\s]+>")
    for name in ("Message-ID", "In-Reply-To", "References"):
        for word in str(mail.get(name, "")).split():
            if not id_shape.fullmatch(word):
                faults.append(f"{name}: {word}")
    # RFC 3834 5.
    if str(mail.get("Auto-Submitted", "")) != "auto-generated":
        faults.append("Auto-Submitted is not auto-generated")
    # RFC 2919 2.
    if "List-Id" in mail and not re.search(r"<[a-z0-9.-]+\.[a-z0-9.-]+>$", str(mail["List-Id"])):
        faults.append(f"List-Id: {mail['List-Id']}")
    # RFC 2369 2: URLs in angle brackets, commas between.
    unsubscribe = str(mail.get("List-Unsubscribe", ""))
    urls = re.findall(r"<([^<>\s]+)>", unsubscribe)
    if unsubscribe and ", ".join(f"<{url}>" for url in urls) != unsubscribe:
        faults.append(f"List-Unsubscribe: {unsubscribe}")
    # RFC 8058 3.1: that value exactly, with an HTTPS URL, and both covered by a signature.
    post = mail.get("List-Unsubscribe-Post")
    if post is not None:
        if str(post) != "List-Unsubscribe=One-Click":
            faults.append(f"List-Unsubscribe-Post: {post}")
        if sum(url.startswith("https://") for url in urls) != 1:
            faults.append("one click without one HTTPS URL")
    signatures = []
    for index, signature in enumerate(mail.get_all("DKIM-Signature", [])):
        tags = dict(tag.strip().split("=", 1) for tag in re.sub(r"\s+", "", str(signature)).split(";") if tag)
        verified = dkim.DKIM(raw).verify(
            idx=index, dnsfunc=lambda name, timeout=5: records.get(name.decode().rstrip("."), "").encode()
        )
        signed = tags["h"].lower().split(":")
        oversigned = [name for name in sorted(set(signed)) if signed.count(name) > len(mail.get_all(name, []))]
        signatures.append({"a": tags["a"], "s": tags["s"], "verified": bool(verified), "oversigned": oversigned})
    return {
        "faults": faults,
        "headers": {name: str(value) for name, value in mail.items() if name != "DKIM-Signature"},
        "signatures": signatures,
        "parts": [part.get_content_type() for part in mail.walk()],
        "text": mail.get_body(("plain",)).get_content(),
        "bytes": len(raw),
        "html_bytes": max((len(part.get_content()) for part in mail.walk() if part.get_content_type() == "text/html"), default=0),
        "date": email.utils.parsedate_to_datetime(str(mail["Date"])).isoformat(),
    }


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        records = json.load(file)
    for path in sys.argv[2:]:
        print(json.dumps(check(path, records)))


main()
