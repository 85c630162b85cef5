# Answers that you are away, once a week to each sender. Lists and programs get no answer.
# Change the text, and take the script away when you are back.
require "vacation";

vacation :days 7 text:
I am away and read your message when I am back.
.
;
