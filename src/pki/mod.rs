//! Certificates and trust (RFC 5280, 8550); knows neither mail messages nor CMS.
