"""Thunderbird, on a screen that nobody sees (Xvfb), with accounts that it sets up from the settings of `sealpost autoconfig`.

    thunderbird.py ROOT.pem CONFIG-V1.1.xml jane@a.example:PASSWORD joe@a.example:PASSWORD

The settings are found as a person's are: Thunderbird asks http://autoconfig.a.example, and a proxy that stands here answers. The
first user gets the account that Thunderbird prefers, the second the alternative (STARTTLS). Each sends a message to the other, and
each fetches. What was set up and fetched is printed, a JSON object for each user. Marionette (the protocol of the program's own
tests) drives it. Screen and program are started anew where they do not come up; what they do then is done once.
"""

import contextlib
import http.server
import json
import os
import pathlib
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

STEP = 240
"""Seconds that one step may take."""

WHOLE = 840
"""Seconds that all may take."""

STARTS = 3
"""How often screen and program may be started."""

SET_UP = """
const [address, password, alternative] = arguments;
const { FetchConfig } = ChromeUtils.importESModule("resource:///modules/accountcreation/FetchConfig.sys.mjs");
const { AccountConfig } = ChromeUtils.importESModule("resource:///modules/accountcreation/AccountConfig.sys.mjs");
const { ConfigVerifier } = ChromeUtils.importESModule("resource:///modules/accountcreation/ConfigVerifier.sys.mjs");
const { CreateInBackend } = ChromeUtils.importESModule("resource:///modules/accountcreation/CreateInBackend.sys.mjs");
const config = await FetchConfig.fromISP(address.split("@")[1], address, new AbortController().signal);
if (alternative) {
  config.incoming = config.incomingAlternatives[0];
  config.outgoing = config.outgoingAlternatives[0];
}
AccountConfig.replaceVariables(config, address.split("@")[0], address, password);
config.incoming.password = config.outgoing.password = password;
config.rememberPassword = true;
await new ConfigVerifier(null, new AbortController().signal).verifyConfig(config, false);
const account = await CreateInBackend.createAccountInBackend(config);
const seen = server => [server.type, server.hostname, server.port, server.socketType == 3 ? "SSL" : server.socketType == 2 ? "STARTTLS" : "plain"];
return { key: account.key, source: config.subSource, incoming: seen(config.incoming), outgoing: seen(config.outgoing) };
"""

WINDOW = """
const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
while (!Services.wm.getMostRecentWindow("mail:3pane")) {
  await new Promise(resolve => setTimeout(resolve, 50));
}
return Cc["@mozilla.org/gfx/info;1"].getService(Ci.nsIGfxInfo).isHeadless;
"""

SEND = """
const [key, to, subject, body] = arguments;
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const account = MailServices.accounts.getAccount(key);
const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
Object.assign(fields, { from: account.defaultIdentity.email, to, subject });
const send = Cc["@mozilla.org/messengercompose/send;1"].createInstance(Ci.nsIMsgSend);
account.defaultIdentity.doFcc = false;
return new Promise((resolve, reject) => {
  const listener = {
    QueryInterface: ChromeUtils.generateQI(["nsIMsgSendListener"]),
    onStartSending() {}, onProgress() {}, onStatus() {}, onGetDraftFolderURI() {}, onSendNotPerformed() {},
    onTransportSecurityError(id, status) { reject(new Error("TLS: " + status.toString(16))); },
    onStopSending(id, status, message) { status ? reject(new Error(status.toString(16) + " " + message)) : resolve(id); },
  };
  Promise.resolve(send.createAndSendMessage(null, account.defaultIdentity, key, fields, false, false, Ci.nsIMsgSend.nsMsgDeliverNow,
    null, "text/plain", body, null, null, listener, "", "", Ci.nsIMsgCompType.New)).catch(reject);
});
"""

FETCH = """
const [key] = arguments;
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const server = MailServices.accounts.getAccount(key).incomingServer;
const inbox = server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
await new Promise((resolve, reject) => MailServices.pop3.GetNewMail(null, {
  QueryInterface: ChromeUtils.generateQI(["nsIUrlListener"]),
  OnStartRunningUrl() {},
  OnStopRunningUrl(url, status) { status ? reject(new Error(status.toString(16))) : resolve(); },
}, inbox, server));
const mailbox = await IOUtils.readUTF8(inbox.filePath.path);
return { subjects: [...inbox.messages].map(header => header.mime2DecodedSubject), mailbox };
"""


class Settings(http.server.BaseHTTPRequestHandler):
    """A proxy that knows one page. It has no HTTPS, so that Thunderbird goes on to HTTP."""

    page = b""

    def do_GET(self):
        known = self.path.split("?")[0] == "http://autoconfig.a.example/mail/config-v1.1.xml"
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "text/xml")
        self.end_headers()
        try:
            self.wfile.write(self.page if known else b"")
        except ConnectionError:
            pass  # it asks for several pages at once, and hangs up when the first one answers

    def log_message(self, *_):
        pass


class Marionette:
    """Its protocol: LENGTH:[0, id, command, parameters] and LENGTH:[1, id, error, result]."""

    def __init__(self, port):
        self.stream = socket.create_connection(("127.0.0.1", port), timeout=STEP + 10).makefile("rwb")
        self.last = 0
        self.read()

    def read(self):
        length = b""
        while not length.endswith(b":"):
            byte = self.stream.read(1)
            if not byte:
                raise EOFError("Thunderbird is gone")
            length += byte
        return json.loads(self.stream.read(int(length[:-1])))

    def ask(self, command, parameters):
        self.last += 1
        said = json.dumps([0, self.last, command, parameters]).encode()
        self.stream.write(b"%d:%s" % (len(said), said))
        self.stream.flush()
        _, _, error, result = self.read()
        if error:
            raise RuntimeError(f"{command}: {error['error']}: {error['message']}\n{error['stacktrace']}")
        return result

    def run(self, script, *arguments):
        """The value of a script that may wait, in the program's own context."""
        body = f"return (async function () {{ {script} }}).apply(null, arguments)"
        asked = {"script": body, "args": arguments, "sandbox": "system"}
        return self.ask("WebDriver:ExecuteScript", asked)["value"]


def profile(folder, root, proxy):
    """A new profile that trusts the authority, keeps to this host, and looks for nothing by itself."""
    folder.mkdir()
    database = f"sql:{folder}"
    subprocess.run(["certutil", "-N", "-d", database, "--empty-password"], check=True)
    subprocess.run(["certutil", "-A", "-d", database, "-n", "root", "-t", "C,,", "-i", root], check=True)
    preferences = {
        "marionette.port": 0,
        "network.dns.localDomains": "mail.a.example",
        "network.proxy.type": 1,
        "network.proxy.http": "127.0.0.1",
        "network.proxy.http_port": proxy,
        "network.proxy.ssl": "127.0.0.1",
        "network.proxy.ssl_port": proxy,
        "app.update.enabled": False,
        "app.donation.eoy.version.viewed": 999,
        "datareporting.policy.dataSubmissionEnabled": False,
        "mail.provider.suppress_dialog_on_startup": True,
        "mail.rights.version": 1,
        "mail.shell.checkDefaultClient": False,
        "mail.spotlight.firstRunDone": True,
        "mail.winsearch.firstRunDone": True,
        "mailnews.start_page.enabled": False,
        "mailnews.start_page_override.mstone": "ignore",
        "toolkit.telemetry.enabled": False,
    }
    lines = [f"user_pref({json.dumps(key)}, {json.dumps(value)});\n" for key, value in preferences.items()]
    (folder / "user.js").write_text("".join(lines))


@contextlib.contextmanager
def started(command, log, **more):
    """A program with all that it starts, which ends with the block."""
    program = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, **more)
    try:
        yield program
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.wait(10)


@contextlib.contextmanager
def screen(log):
    """A screen that nobody sees; gives the name of its display, which is one that is free."""
    read, write = os.pipe()
    with open(read) as told:
        command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x1024x24", "-nolisten", "tcp"]
        with started(command, log, pass_fds=[write]):
            os.close(write)
            number = told.readline().strip() if select.select([told], [], [], STEP)[0] else ""
            if not number:
                raise TimeoutError("Xvfb did not start")
            yield f":{number}"


def port(folder, program):
    """Where the program listens, once it does."""
    file = folder / "MarionetteActivePort"
    until = time.monotonic() + STEP
    while time.monotonic() < until and program.poll() is None:
        if file.exists() and file.read_text().strip():
            return int(file.read_text())
        time.sleep(0.1)
    raise TimeoutError(f"Thunderbird did not start: {program.poll()}")


@contextlib.contextmanager
def thunderbird(root, proxy, log):
    """The program with a profile and a home of its own, and a screen; gives what drives it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home, screen(log) as display:
        folder = pathlib.Path(home, "profile")
        profile(folder, root, proxy)
        command = ["thunderbird", "--marionette", "--remote-allow-system-access", "--no-remote", "--profile", str(folder)]
        # of the environment it gets nothing that leads to another screen or a bus of somebody's session
        environment = {"PATH": os.environ["PATH"], "HOME": home, "DISPLAY": display, "GDK_BACKEND": "x11", "LC_ALL": "C.UTF-8"}
        with started(command, log, env=environment) as program:
            yield Marionette(port(folder, program))


def talk(marionette, users):
    marionette.ask("WebDriver:NewSession", {})
    marionette.ask("WebDriver:SetTimeouts", {"script": STEP * 1000})
    marionette.ask("Marionette:SetContext", {"value": "chrome"})
    is_headless = marionette.run(WINDOW)
    accounts = [marionette.run(SET_UP, *user, number > 0) for number, user in enumerate(users)]
    for account, (me, _), (other, _) in zip(accounts, users, reversed(users)):
        marionette.run(SEND, account["key"], other, f"from {me}: grüß dich", "First.\r\n.dot\r\n\r\nÄnd.\r\n")
    for account in accounts:
        account["fetched"] = marionette.run(FETCH, account["key"])
        account["headless"] = is_headless
        print(json.dumps(account), flush=True)


def main(root, settings, *users):
    signal.signal(signal.SIGALRM, lambda *_: sys.exit(f"not within {WHOLE} seconds"))
    signal.alarm(WHOLE)
    users = [user.split(":", 1) for user in users]
    Settings.page = pathlib.Path(settings).read_bytes()
    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Settings)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    with tempfile.TemporaryFile("w+", errors="replace") as log, contextlib.ExitStack() as ending:
        try:
            for left in reversed(range(STARTS)):
                try:
                    marionette = ending.enter_context(thunderbird(root, proxy.server_port, log))
                    break
                except (TimeoutError, ConnectionError, EOFError) as error:
                    if not left:
                        raise
                    print(f"started anew: {error}", file=sys.stderr)
            talk(marionette, users)
        except BaseException:
            log.seek(0)
            sys.stderr.writelines(line for line in log if line.strip() and "gtk" not in line.lower())
            raise


if __name__ == "__main__":
    main(*sys.argv[1:])
