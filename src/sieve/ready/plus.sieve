# Mail to jane+receipts@example.org goes to the folder Receipts.
require ["fileinto", "envelope", "subaddress", "variables"];

if envelope :detail :matches "to" "*" {
    set :lower :upperfirst "folder" "${1}";
    if not anyof (string :is "${folder}" ["", ".", ".."], string :contains "${folder}" "/") {
        fileinto "${folder}";
        stop;
    }
}
