//! Reads BER and writes DER or BER (X.690), in streams and in slices; raw spans are kept.
