# Messages of more than 10 MiB go to the folder Large, so that the inbox stays quick to fetch.
require "fileinto";

if size :over 10M {
    fileinto "Large";
    stop;
}
