require ["body", "fileinto", "variables", "relational", "comparator-i;ascii-numeric"];
set "r" "r";
if body :contains "offer" { set "r" "${r}1"; } else { set "r" "${r}0"; }
if body :raw :contains "=E9" { set "r" "${r}1"; } else { set "r" "${r}0"; }
if body :raw :contains "c2VjcmV0" { set "r" "${r}1"; } else { set "r" "${r}0"; }
if body :content "text" :contains "café" { set "r" "${r}1"; } else { set "r" "${r}0"; }
if body :content "text/plain" :contains "café is" { set "r" "${r}1"; } else { set "r" "${r}0"; }
if body :content "text/html" :contains "<b>" { set "r" "${r}1"; } else { set "r" "${r}0"; }
if body :content "application" :contains "secret words" { set "r" "${r}1"; } else { set "r" "${r}0"; }
if body :text :contains "secret words" { set "r" "${r}1"; } else { set "r" "${r}0"; }
if body :text :contains "roses" { set "r" "${r}1"; } else { set "r" "${r}0"; }
if body :text :matches "*Inner text*" { set "r" "${r}1"; } else { set "r" "${r}0"; }
if body :content "message/rfc822" :contains "inner subject" { set "r" "${r}1"; } else { set "r" "${r}0"; }
if body :content "" :contains "open" { set "r" "${r}1"; } else { set "r" "${r}0"; }
if body :content ["image", "text/"] :contains "open" { set "r" "${r}1"; } else { set "r" "${r}0"; }
fileinto "${r}";
