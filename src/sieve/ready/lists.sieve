# Each mailing list goes to a folder of its name: Lists/gardening for <gardening.example.org>.
require ["fileinto", "variables"];

if header :matches "List-Id" "*<*.*" {
    set :lower "list" "${2}";
    # a name that could be none of a folder stays in the inbox
    if not anyof (string :is "${list}" "", string :contains "${list}" ["/", ">"]) {
        fileinto "Lists/${list}";
        stop;
    }
}
