"""Letters as a mail program sees them: written with attachments and submitted at port 587, and read from a Maildir."""

import argparse
import email
import email.message
import email.policy
import email.utils
import hashlib
import mimetypes
import os
import smtplib

from .mta import PASSWORD
from .run import BedError


def _parser():
    parser = argparse.ArgumentParser(prog="bed write SITE USER", add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in ("--to", "--cc", "--bcc"):
        parser.add_argument(name, action="append", default=[], metavar="ADDRESS")
    parser.add_argument("--subject", default="A letter")
    parser.add_argument("--text", default="Hello.")
    parser.add_argument("--attach", action="append", default=[], metavar="FILE")
    return parser


def compose(sender, options):
    """The letter as a mail program sends it: Bcc is in the envelope only."""
    message = email.message.EmailMessage(policy=email.policy.SMTP)
    message["From"] = sender
    for name, addresses in (("To", options.to), ("Cc", options.cc)):
        if addresses:
            message[name] = ", ".join(addresses)
    message["Subject"] = options.subject
    message["Date"] = email.utils.localtime()
    message["Message-ID"] = email.utils.make_msgid(domain=sender.partition("@")[2])
    message.set_content(options.text + "\n")
    for path in options.attach:
        kind = (mimetypes.guess_type(path)[0] or "application/octet-stream").partition("/")
        with open(path, "rb") as f:
            message.add_attachment(f.read(), maintype=kind[0], subtype=kind[2], filename=os.path.basename(path))
    return message.as_bytes()


def submit(site, user, arguments):
    """Writes and submits a letter of `user` at port 587 of the site. Returns what the MTA answered."""
    try:
        options = _parser().parse_args(arguments)
        recipients = options.to + options.cc + options.bcc
        if not recipients:
            raise BedError("no recipient: --to, --cc or --bcc")
        sender = f"{user}@{site.domain}"
        raw = compose(sender, options)
        with site.inside():
            smtp = smtplib.SMTP("127.0.0.1", 587, local_hostname=f"laptop.{site.domain}", timeout=120)
        with smtp:
            smtp.login(sender, PASSWORD)
            smtp.ehlo_or_helo_if_needed()
            for code, text in (smtp.mail(sender, [f"SIZE={len(raw)}"]), *map(smtp.rcpt, recipients), smtp.data(raw)):
                if code != 250:
                    raise BedError(f"refused: {code} {text.decode(errors='replace')}")
            return len(raw), text.decode(errors="replace")
    except (argparse.ArgumentError, OSError, smtplib.SMTPException) as e:
        raise BedError(str(e)) from e


def overview(path):
    """One letter of a Maildir in some lines: fields, text, attachments with size and SHA-256."""
    with open(path, "rb") as f:
        message = email.message_from_binary_file(f, policy=email.policy.default)
    lines = [f"{name + ':':<12}{value}" for name in ("From", "To", "Cc", "Bcc", "Subject", "Date", "Message-ID")
             for value in message.get_all(name, [])]
    lines += [f"{'verified:':<12}{' '.join(value.split())}" for value in message.get_all("Authentication-Results", [])]
    for part in message.walk():
        if part.is_multipart():
            continue
        content = part.get_payload(decode=True) or b""
        if part.get_filename() or part.get_content_maintype() != "text":
            lines.append(f"{'attached:':<12}{part.get_filename() or part.get_content_type()}, {len(content):,} octets, "
                         f"SHA-256 {hashlib.sha256(content).hexdigest()}")
        else:
            lines += ["", *content.decode(errors="replace").rstrip().splitlines()[:12], ""]
    return "\n".join(lines)
