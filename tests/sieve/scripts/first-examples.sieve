require ["fileinto", "reject"];
# the shape of the examples of RFC 5228 9
if header :is "Sender" "bounces@lists.example" {
    fileinto "filter";
} elsif address :domain :is ["From", "To"] "a.example" {
    keep;
} elsif anyof (not address :all :contains ["To", "Cc", "Bcc"] "bob@b.example",
        header :matches "subject" ["*make*money*fast*", "*university*dipl*mas*"]) {
    fileinto "spam";
} else {
    fileinto "personal";
}
