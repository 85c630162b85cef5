require "fileinto";
if true { if true { if not false { if allof (true, anyof (false, not not true)) { fileinto "deep"; } else { keep; } } } }
if false { stop; } elsif header :contains "subject" "roses" { stop; } else { }
fileinto "after";
