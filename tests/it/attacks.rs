//! Published attacks on signed and encrypted mail, each made by hand and each with the verdict that it must get.
//!
//! The classes: container confusion, wrapping, identity and display games on signed mail (Müller et al. 2019, "Johnny, you are
//! fired!"; Chen et al. 2020, "Composition kills"; Shen et al. 2021, "Weak links in authentication chains"); stripped signed
//! attributes (draft-ietf-lamps-cms-euf-cma-signeddata); exfiltration and gadgets on encrypted mail (Poddebniak et al. 2018,
//! "Efail"; Müller et al. 2019, "Re: What's up Johnny?"), from a tag to none (Strenzke, Roth 2023), padding oracles. `docs/attacks.md`
//! says what stops each.

mod cms;
mod encrypted;
mod explain;
mod identity;
mod inside;
mod legitimate;
mod program;
mod stage;
mod wrapping;
