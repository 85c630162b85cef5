require ["encoded-character", "fileinto", "variables"];
if header :contains "subject" "Gr${unicode: fc}${unicode:df 65}" { fileinto "greeting ${hex:40}${hex:41 42}"; }
set "v" "${hex:24}{x}";
fileinto "a${v}${hex:zz}";
