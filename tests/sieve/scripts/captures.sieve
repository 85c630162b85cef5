require ["variables", "fileinto", "envelope", "body"];
if header :matches "subject" "* *" { set "a" "${0}|${1}|${2}|${3}"; }
if header :matches "list-id" "*<*.*.*>" { set :lower "b" "${1}-${2}-${3}"; }
if not header :matches "subject" "zzz*" { set "c" "${1}"; }
if body :matches "*Hello*" { set "d" "${1}"; }
if envelope :matches "to" "?*@*" { set :upperfirst "e" "${1}${2}${3}"; }
set :quotewildcard "f" "*?\\";
set :length "g" "grüße";
set :lower :upperfirst "h" "jUMBLED Letters";
set "_x9" "${unknown}${ a}${a.b";
fileinto "a${a}"; fileinto "b${b} c${c}";
fileinto "d${d} e${e} f${f} g${g} h${h} x${_X9}";
