redirect "a@x.example"; redirect "b@x.example"; redirect "c@x.example"; redirect "d@x.example";
if exists "x-many" { redirect "e@x.example"; }
