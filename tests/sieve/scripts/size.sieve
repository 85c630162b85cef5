require "fileinto";
if size :over 1K { fileinto "large"; } elsif size :under 200 { fileinto "small"; }
