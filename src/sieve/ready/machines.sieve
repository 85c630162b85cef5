# What programs send goes to the folder Notices and is marked as read.
require ["fileinto", "imap4flags"];

if anyof (
    allof (exists "Auto-Submitted", not header :is "Auto-Submitted" "no"),
    header :is "Precedence" ["bulk", "junk"],
    address :localpart :is "from" ["noreply", "no-reply", "donotreply", "notifications"]
) {
    fileinto :flags "\\Seen" "Notices";
    stop;
}
