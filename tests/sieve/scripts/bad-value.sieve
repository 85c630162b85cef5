require "variables";
set "to" "not an address";
if exists "x-many" { redirect "${to}"; }
