require ["variables", "fileinto", "envelope", "subaddress", "relational", "comparator-i;ascii-numeric"];
set "r" "";
if address "to" "carol@c.example" { set "r" "${r}a"; }
if address :localpart "to" "bob+lists" { set "r" "${r}b"; }
if address :user "to" "bob" { set "r" "${r}c"; }
if address :detail "to" "lists" { set "r" "${r}d"; }
if address :detail :contains "to" "" { set "r" "${r}e"; }
if address :domain ["cc", "to"] "e.example" { set "r" "${r}f"; }
if address :count "eq" "to" "2" { set "r" "${r}g"; }
if address :contains ["to", "cc"] "" { set "r" "${r}h"; }
if address :all :matches "from" "*@*.example" { set "r" "${r}i-${1}-${2}"; }
if envelope :localpart "from" "jane.doe" { set "r" "${r}j"; }
if envelope :detail "to" "lists" { set "r" "${r}k"; }
if envelope ["from", "to"] "bob+lists@b.example" { set "r" "${r}l"; }
if envelope :count "eq" ["from", "to"] "2" { set "r" "${r}m"; }
if address :comparator "i;octet" :domain "cc" "e.example" { set "r" "${r}n"; }
if address :is "reply-to" "Gardening@lists.example" { set "r" "${r}o"; }
fileinto "r${r}";
