require ["imap4flags", "variables", "fileinto", "relational"];
setflag "v" ["a b", "\\Seen"];
addflag "v" "B c";
removeflag "v" "a";
if hasflag :is "v" "c" { set "r" "${r}1"; }
if hasflag :contains "v" "e" { set "r" "${r}2"; }
if hasflag :matches ["v"] "\\\\s*" { set "r" "${r}3"; }
if hasflag :count "eq" "v" "3" { set "r" "${r}4"; }
if hasflag "a" { set "r" "${r}5"; }
addflag "a";
if hasflag ["x", "a"] { set "r" "${r}6"; }
fileinto :flags "${v}" "f${r}";
