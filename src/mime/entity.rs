//! The tree of entities, each a range over the original.

use std::ops::Range;

use crate::limits::{Budget, LimitReached, Limits};
use crate::mime::{ContentType, Error, Field, TransferEncoding, boundary, content_type, header, text, transfer};

/// What is odd about an entity, in a way that programs show differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Defect {
    /// Two Content-Type fields; the first counts.
    SeveralContentTypes,
    /// A Content-Type that cannot be read.
    BadContentType,
    /// Two Content-Transfer-Encoding fields; the first counts.
    SeveralTransferEncodings,
    /// A transfer encoding that is not known; the body is taken as it is.
    UnknownTransferEncoding,
    /// Two From fields.
    SeveralFrom,
    /// A multipart without boundary.
    NoBoundary,
    /// A multipart whose boundary never comes.
    NoParts,
    /// A multipart that is never closed.
    Unclosed,
    /// A header line that is no field.
    Junk,
    /// A parameter of Content-Type in two ways.
    AmbiguousParameter,
    /// A byte order mark before the header section.
    ByteOrderMark,
    /// An empty line before the header section: all is body.
    EmptyLineFirst,
}

impl Defect {
    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::SeveralContentTypes => "has more than one Content-Type",
            Self::BadContentType => "has a Content-Type that cannot be read",
            Self::SeveralTransferEncodings => "has more than one Content-Transfer-Encoding",
            Self::UnknownTransferEncoding => "has a Content-Transfer-Encoding that is not known",
            Self::SeveralFrom => "has more than one From",
            Self::NoBoundary => "is a multipart without boundary",
            Self::NoParts => "is a multipart whose boundary never comes",
            Self::Unclosed => "is a multipart that is never closed",
            Self::Junk => "has header lines that are no fields",
            Self::AmbiguousParameter => "has a Content-Type that programs read in different ways",
            Self::ByteOrderMark => "begins with a byte order mark, which some programs take for the end of its header section",
            Self::EmptyLineFirst => "begins with an empty line, so that all of it is body",
        }
    }
}

/// A MIME entity: a header section and a body, and what is inside.
#[derive(Debug, Clone)]
pub struct Entity {
    range: Range<usize>,
    body: Range<usize>,
    fields: Vec<Field>,
    content_type: ContentType,
    transfer: TransferEncoding,
    children: Vec<Entity>,
    defects: Vec<Defect>,
    path: Vec<usize>,
    preamble: Range<usize>,
    epilogue: Range<usize>,
}

/// Reads the tree of a message or a part.
///
/// ```
/// use sealpost::{limits::Limits, mime};
/// let source = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx --b\r\n\r\n--b--\r\n";
/// let root = mime::parse(source, &Limits::default())?;
/// assert_eq!(root.children()[0].body(source), b"x --b\r\n");
/// # Ok::<(), mime::Error>(())
/// ```
///
/// A byte order mark before the header section is passed over and told.
pub fn parse(source: &[u8], limits: &Limits) -> Result<Entity, Error> {
    let mark = source.len().saturating_sub(header::without_mark(source).len());
    let mut root = of_range(source, mark..source.len(), limits)?;
    if mark > 0 {
        root.defects.push(Defect::ByteOrderMark);
    }
    Ok(root)
}

/// Reads what is inside a message: a byte order mark there is a line that is no field.
pub(crate) fn parse_content(source: &[u8], limits: &Limits) -> Result<Entity, Error> {
    of_range(source, 0..source.len(), limits)
}

fn of_range(source: &[u8], range: Range<usize>, limits: &Limits) -> Result<Entity, Error> {
    let mut reader = Reader { source, limits, parts: Budget::new("mime parts", limits.mime_parts) };
    reader.entity(range, Vec::new(), &ContentType::text_plain())
}

/// Reads the header section of an entity whose body is elsewhere; nothing inside is looked for.
///
/// `default` is the type of a part that names none.
pub(crate) fn head(source: &[u8], path: Vec<usize>, default: &ContentType, limits: &Limits) -> Result<Entity, Error> {
    if path.len() > limits.mime_depth {
        let limit = u64::try_from(limits.mime_depth).unwrap_or(u64::MAX);
        return Err(Error::Limit(LimitReached { name: "mime depth", limit }));
    }
    let section = header::section(source, 0..source.len(), limits)?;
    let mut defects = Vec::new();
    if section.has_junk {
        defects.push(Defect::Junk);
    }
    let of = |name: &str| section.fields.iter().filter(move |field| field.name == name).collect::<Vec<_>>();
    let types = of("content-type");
    if types.len() > 1 {
        defects.push(Defect::SeveralContentTypes);
    }
    if of("from").len() > 1 {
        defects.push(Defect::SeveralFrom);
    }
    let content_type = match types.first().map(|field| ContentType::parse(&field.unfolded(source))) {
        Some(Some(content_type)) => content_type,
        Some(None) => {
            defects.push(Defect::BadContentType);
            ContentType::text_plain()
        }
        None => default.clone(),
    };
    if content_type.is_ambiguous {
        defects.push(Defect::AmbiguousParameter);
    }
    let transfers = of("content-transfer-encoding");
    if transfers.len() > 1 {
        defects.push(Defect::SeveralTransferEncodings);
    }
    let transfer = transfers.first().map(|field| TransferEncoding::parse(&field.unfolded(source)));
    if transfer == Some(TransferEncoding::Other) {
        defects.push(Defect::UnknownTransferEncoding);
    }
    let body = section.end..source.len();
    Ok(Entity {
        preamble: body.start..body.start,
        epilogue: body.end..body.end,
        range: 0..source.len(),
        body,
        fields: section.fields,
        content_type,
        transfer: transfer.unwrap_or(TransferEncoding::SevenBit),
        children: Vec::new(),
        defects,
        path,
    })
}

struct Reader<'a> {
    source: &'a [u8],
    limits: &'a Limits,
    parts: Budget,
}

impl Reader<'_> {
    fn entity(&mut self, range: Range<usize>, path: Vec<usize>, default: &ContentType) -> Result<Entity, Error> {
        self.parts.spend(1u64)?;
        // ranges are over the whole source: what comes before a part is passed over by offset
        let offset = range.start;
        let mut entity = head(self.source.get(range).unwrap_or_default(), path, default, self.limits)?;
        entity.shift(offset);
        if entity.content_type.is_multipart() {
            self.parts_of(&mut entity)?;
        } else if entity.is_message() && entity.transfer.is_identity() {
            let mut path = entity.path.clone();
            path.push(1);
            let inner = self.entity(entity.body.clone(), path, &ContentType::text_plain())?;
            entity.children.push(inner);
        }
        Ok(entity)
    }

    fn parts_of(&mut self, entity: &mut Entity) -> Result<(), Error> {
        let Some(boundary) = entity.content_type.parameter("boundary").map(str::to_owned) else {
            entity.defects.push(Defect::NoBoundary);
            return Ok(());
        };
        let body = self.source.get(entity.body.clone()).unwrap_or_default();
        let delimiters = boundary::scan(body, &boundary);
        let Some(first) = delimiters.first() else {
            entity.defects.push(Defect::NoParts);
            return Ok(());
        };
        let from = entity.body.start;
        entity.preamble = from..from.saturating_add(first.range.start);
        let default = if entity.content_type.subtype == "digest" { ContentType::message() } else { ContentType::text_plain() };
        let mut closed = false;
        for (at, delimiter) in delimiters.iter().enumerate() {
            if delimiter.closes {
                closed = true;
                entity.epilogue = from.saturating_add(delimiter.range.end)..entity.body.end;
                break;
            }
            // the line break before a delimiter is the delimiter's; a part whose delimiter follows at once is empty
            let end = delimiters.get(at.saturating_add(1)).map_or(body.len(), |next| next.range.start.max(delimiter.range.end));
            let mut path = entity.path.clone();
            path.push(at.saturating_add(1));
            let range = from.saturating_add(delimiter.range.end)..from.saturating_add(end);
            entity.children.push(self.entity(range, path, &default)?);
        }
        if !closed {
            entity.defects.push(Defect::Unclosed);
        }
        Ok(())
    }
}

impl Entity {
    /// Moves every range by what comes before.
    fn shift(&mut self, offset: usize) {
        let moved = |range: &Range<usize>| range.start.saturating_add(offset)..range.end.saturating_add(offset);
        for range in [&mut self.range, &mut self.body, &mut self.preamble, &mut self.epilogue] {
            *range = moved(range);
        }
        for field in &mut self.fields {
            field.range = moved(&field.range);
            field.value = moved(&field.value);
        }
    }

    /// The whole entity as received: header section and body.
    pub fn bytes<'a>(&self, source: &'a [u8]) -> &'a [u8] {
        source.get(self.range.clone()).unwrap_or_default()
    }

    /// The body as received.
    pub fn body<'a>(&self, source: &'a [u8]) -> &'a [u8] {
        source.get(self.body.clone()).unwrap_or_default()
    }

    /// Where the entity stands: header section and body.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// Where the body stands.
    pub fn body_range(&self) -> Range<usize> {
        self.body.clone()
    }

    /// The body without its transfer encoding.
    pub fn decoded_body(&self, source: &[u8]) -> Vec<u8> {
        transfer::decode(self.transfer, self.body(source))
    }

    /// The header fields.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The first field of a name (in lower case).
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The type of the content.
    pub fn content_type(&self) -> &ContentType {
        &self.content_type
    }

    /// How the body is encoded.
    pub fn transfer_encoding(&self) -> TransferEncoding {
        self.transfer
    }

    /// The parts, or the attached message.
    pub fn children(&self) -> &[Entity] {
        &self.children
    }

    /// An entity without header section and body.
    pub(crate) fn empty() -> Self {
        Self {
            range: 0..0,
            body: 0..0,
            fields: Vec::new(),
            content_type: ContentType::text_plain(),
            transfer: TransferEncoding::SevenBit,
            children: Vec::new(),
            defects: Vec::new(),
            path: Vec::new(),
            preamble: 0..0,
            epilogue: 0..0,
        }
    }

    /// The children's numbers from the root down, from 1.
    pub(crate) fn path_numbers(&self) -> &[usize] {
        &self.path
    }

    /// Where the body begins in the source.
    pub(crate) fn body_start(&self) -> usize {
        self.body.start
    }

    /// Leaves the header section alone: the body is elsewhere.
    pub(crate) fn cut(&mut self, at: usize) {
        (self.range, self.body) = (0..at, at..at);
        (self.preamble, self.epilogue) = (at..at, at..at);
    }

    /// What is odd about it.
    pub fn defects(&self) -> &[Defect] {
        &self.defects
    }

    /// Whether it is an attached message.
    pub fn is_message(&self) -> bool {
        self.content_type.is("message", "rfc822") || self.content_type.is("message", "global")
    }

    /// The path: `0` for the root, else the children's numbers from 1, as `1.2`. A message inside an entity is its child 1.
    pub fn path(&self) -> String {
        if self.path.is_empty() {
            return "0".to_owned();
        }
        self.path.iter().map(usize::to_string).collect::<Vec<_>>().join(".")
    }

    /// The file name that the part gives, decoded; encoded words, too, which have no place there (RFC 2047 5) and which programs write.
    pub fn file_name(&self, source: &[u8]) -> Option<String> {
        let disposition =
            self.field("content-disposition").map(|field| content_type::split_parameters(&field.unfolded(source)).1);
        let of = |parameters: &[(String, String)], name: &str| {
            parameters.iter().find(|(known, _)| known == name).map(|(_, v)| v.clone())
        };
        let name = disposition.and_then(|parameters| of(&parameters, "filename"));
        let name = name.or_else(|| of(&self.content_type.parameters, "name"))?;
        Some(if name.contains("=?") { text::decode_words(&name) } else { name })
    }

    /// Whether the part says that it is a file beside the message (RFC 2183 2.2).
    pub fn is_attachment(&self, source: &[u8]) -> bool {
        let disposition =
            self.field("content-disposition").map(|field| content_type::split_parameters(&field.unfolded(source)).0);
        disposition.is_some_and(|word| word.eq_ignore_ascii_case("attachment"))
    }

    /// Text of a multipart before its first part.
    pub fn preamble<'a>(&self, source: &'a [u8]) -> &'a [u8] {
        source.get(self.preamble.clone()).unwrap_or_default()
    }

    /// Text of a multipart after its last part.
    pub fn epilogue<'a>(&self, source: &'a [u8]) -> &'a [u8] {
        source.get(self.epilogue.clone()).unwrap_or_default()
    }

    /// The entity and everything inside, in the order of the message.
    pub fn walk(&self) -> Vec<&Entity> {
        let mut found = vec![self];
        let mut at = 0;
        while let Some(entity) = found.get(at).copied() {
            at = at.saturating_add(1);
            let rest = found.split_off(at);
            found.extend(entity.children.iter());
            found.extend(rest);
        }
        found
    }
}
