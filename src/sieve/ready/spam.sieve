# What a scanner calls spam goes to the folder Junk.
# rspamd, SpamAssassin and most services put one of these fields into the message.
require "fileinto";

if anyof (
    header :is "X-Spam-Flag" "YES",
    header :is "X-Spam" "Yes",
    header :matches "X-Spam-Status" "Yes,*",
    header :contains "X-Spam-Level" "*****"
) {
    fileinto "Junk";
    stop;
}
