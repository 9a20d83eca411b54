//! A schema from its JSON, with the schemas that it refers to given before it.

use std::collections::HashMap;
use std::fmt;

use serde_json::{Map, Value as Json};

use crate::schema::{BytesAs, Enum, Field, Fixed, IntAs, LongAs, Name, Node, NodeId, Record, Schema, StringAs};

/// Types inside of types: deeper than any that a person writes, flat enough for any stack.
const NESTING_MAX: usize = 100;
/// A fixed of more bytes than a record of Kafka may have.
const FIXED_BYTES_MAX: u64 = 1 << 30;

/// Why a text is no schema, and where in it.
#[derive(Debug)]
pub struct SchemaError {
    what: String,
    path: String,
}

impl fmt::Display for SchemaError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => out.write_str(&self.what),
            path => write!(out, "{path}: {}", self.what),
        }
    }
}

impl std::error::Error for SchemaError {}

type Parsed<T> = Result<T, SchemaError>;

impl Schema {
    /// The schema in `text`; `references` are the texts whose names it may use, each after those that it needs itself.
    ///
    /// # Errors
    /// One of them is no schema.
    pub fn parse(text: &str, references: &[impl AsRef<str>]) -> Result<Schema, SchemaError> {
        let mut parser = Parser::default();
        for reference in references {
            parser.text(reference.as_ref())?;
        }
        let root = parser.text(text)?;
        Ok(Schema {
            nodes: parser.nodes,
            root,
        })
    }
}

#[derive(Default)]
struct Parser {
    nodes: Vec<Node>,
    names: HashMap<String, NodeId>,
    path: Vec<String>,
}

impl Parser {
    fn text(&mut self, text: &str) -> Parsed<NodeId> {
        match serde_json::from_str::<Json>(text) {
            Ok(json) => self.node(&json, ""),
            // A bare name, as the REST interface of a registry lets one register it.
            Err(_) if primitive(text.trim(), None).is_some() => self.node(&Json::from(text.trim()), ""),
            Err(error) => Err(self.wrong(format!("it is no JSON: {error}"))),
        }
    }

    fn wrong(&self, what: impl Into<String>) -> SchemaError {
        SchemaError {
            what: what.into(),
            path: self.path.join("."),
        }
    }

    fn within<T>(&mut self, step: &str, parse: impl FnOnce(&mut Parser) -> Parsed<T>) -> Parsed<T> {
        if self.path.len() >= NESTING_MAX {
            return Err(self.wrong(format!("types are nested deeper than {NESTING_MAX}")));
        }
        self.path.push(step.to_owned());
        let parsed = parse(self);
        if parsed.is_ok() {
            self.path.pop();
        }
        parsed
    }

    fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        NodeId(u32::try_from(self.nodes.len() - 1).expect("a schema of 10 MB has fewer types than 2^32"))
    }

    fn node(&mut self, json: &Json, namespace: &str) -> Parsed<NodeId> {
        match json {
            Json::String(name) => self.named(name, None, namespace),
            Json::Array(branches) => self.union(branches, namespace),
            Json::Object(object) => self.object(object, namespace),
            _ => Err(self.wrong("a type is a name, a list (a union) or an object")),
        }
    }

    fn named(&mut self, name: &str, attributes: Option<&Map<String, Json>>, namespace: &str) -> Parsed<NodeId> {
        if let Some(node) = primitive(name, attributes) {
            return Ok(self.add(node));
        }
        let full = full_name(name, namespace);
        match self.names.get(&full).or_else(|| self.names.get(name)) {
            Some(id) => Ok(*id),
            None => Err(self.wrong(format!("there is no type {full:?}"))),
        }
    }

    fn union(&mut self, branches: &[Json], namespace: &str) -> Parsed<NodeId> {
        let mut ids: Vec<NodeId> = Vec::with_capacity(branches.len());
        for (index, branch) in branches.iter().enumerate() {
            let id = self.within(&format!("[{index}]"), |parser| parser.node(branch, namespace))?;
            let node = &self.nodes[id.0 as usize];
            if matches!(node, Node::Union(_)) {
                return Err(self.wrong("a union may not hold a union"));
            }
            let name = node.branch_name();
            if ids
                .iter()
                .any(|other| self.nodes[other.0 as usize].branch_name() == name)
            {
                return Err(self.wrong(format!("a union may not hold {name} twice")));
            }
            ids.push(id);
        }
        Ok(self.add(Node::Union(ids)))
    }

    fn object(&mut self, object: &Map<String, Json>, namespace: &str) -> Parsed<NodeId> {
        match object.get("type") {
            None => Err(self.wrong("an object needs a \"type\"")),
            Some(Json::String(name)) => match name.as_str() {
                "array" => {
                    let items = self.part(object, "items", namespace)?;
                    Ok(self.add(Node::Array(items)))
                }
                "map" => {
                    let values = self.part(object, "values", namespace)?;
                    Ok(self.add(Node::Map(values)))
                }
                "record" | "error" => self.record(object, namespace),
                "enum" => self.enumeration(object, namespace),
                "fixed" => self.fixed(object, namespace),
                other => self.named(other, Some(object), namespace),
            },
            Some(inner) => self.within("type", |parser| parser.node(inner, namespace)),
        }
    }

    fn part(&mut self, object: &Map<String, Json>, key: &str, namespace: &str) -> Parsed<NodeId> {
        match object.get(key) {
            Some(json) => self.within(key, |parser| parser.node(json, namespace)),
            None => Err(self.wrong(format!("it needs {key:?}"))),
        }
    }

    /// The name of a type, and the namespace in which names inside of it are looked up.
    fn name(&self, object: &Map<String, Json>, outer: &str) -> Parsed<(Name, String)> {
        let given = self.word(object, "name")?;
        let namespace = match object.get("namespace") {
            Some(Json::String(namespace)) => namespace,
            _ => outer,
        };
        let full = full_name(given, namespace);
        let inner = full
            .rsplit_once('.')
            .map_or(String::new(), |(namespace, _)| namespace.to_owned());
        let aliases = words(object.get("aliases"))
            .map(|alias| full_name(alias, &inner))
            .collect();
        Ok((Name { full, aliases }, inner))
    }

    fn word<'json>(&self, object: &'json Map<String, Json>, key: &str) -> Parsed<&'json str> {
        match object.get(key) {
            Some(Json::String(word)) if !word.is_empty() => Ok(word),
            _ => Err(self.wrong(format!("it needs a {key:?}"))),
        }
    }

    /// Makes a name known. Before what is inside is parsed, because it may refer to it.
    fn declare(&mut self, name: &Name, node: Node) -> Parsed<NodeId> {
        let id = self.add(node);
        if self.names.insert(name.full.clone(), id).is_some() {
            return Err(self.wrong(format!("there are two types {:?}", name.full)));
        }
        Ok(id)
    }

    fn record(&mut self, object: &Map<String, Json>, namespace: &str) -> Parsed<NodeId> {
        let (name, inner) = self.name(object, namespace)?;
        let Some(Json::Array(declared)) = object.get("fields") else {
            return Err(self.wrong(format!("{} needs \"fields\"", name.full)));
        };
        let id = self.declare(
            &name,
            Node::Record(Record {
                name: name.clone(),
                fields: Vec::new(),
            }),
        )?;
        let mut fields: Vec<Field> = Vec::with_capacity(declared.len());
        for json in declared {
            let Json::Object(field) = json else {
                return Err(self.wrong(format!("a field of {} is no object", name.full)));
            };
            let field_name = self.word(field, "name")?;
            if fields.iter().any(|other| other.name == field_name) {
                return Err(self.wrong(format!("{} has two fields {field_name:?}", name.full)));
            }
            let Some(type_) = field.get("type") else {
                return Err(self.wrong(format!("the field {field_name:?} needs a \"type\"")));
            };
            let node = self.within(field_name, |parser| parser.node(type_, &inner))?;
            fields.push(Field {
                name: field_name.to_owned(),
                aliases: words(field.get("aliases")).map(str::to_owned).collect(),
                node,
                default: field.get("default").cloned(),
            });
        }
        self.nodes[id.0 as usize] = Node::Record(Record { name, fields });
        Ok(id)
    }

    fn enumeration(&mut self, object: &Map<String, Json>, namespace: &str) -> Parsed<NodeId> {
        let (name, _) = self.name(object, namespace)?;
        let symbols: Vec<String> = words(object.get("symbols")).map(str::to_owned).collect();
        if symbols.is_empty() {
            return Err(self.wrong(format!("{} needs \"symbols\"", name.full)));
        }
        let default = object.get("default").and_then(Json::as_str).map(str::to_owned);
        let node = Node::Enum(Enum {
            name: name.clone(),
            symbols,
            default,
        });
        self.declare(&name, node)
    }

    fn fixed(&mut self, object: &Map<String, Json>, namespace: &str) -> Parsed<NodeId> {
        let (name, _) = self.name(object, namespace)?;
        let size = match object.get("size").and_then(Json::as_u64) {
            Some(size) if size <= FIXED_BYTES_MAX => size as usize,
            _ => {
                return Err(self.wrong(format!(
                    "{} needs a \"size\" of up to {FIXED_BYTES_MAX} bytes",
                    name.full
                )));
            }
        };
        let as_ = match logical(Some(object)) {
            "decimal" => decimal(object),
            "uuid" if size == 16 => BytesAs::Uuid,
            // A duration is twelve bytes: months, days and milliseconds are no length of time that Python has.
            _ => BytesAs::Bytes,
        };
        let node = Node::Fixed(Fixed {
            name: name.clone(),
            size,
            as_,
        });
        self.declare(&name, node)
    }
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        name.trim_start_matches('.').to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}

fn words(json: Option<&Json>) -> impl Iterator<Item = &str> {
    json.and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
}

fn logical(attributes: Option<&Map<String, Json>>) -> &str {
    attributes
        .and_then(|object| object.get("logicalType"))
        .and_then(Json::as_str)
        .unwrap_or("")
}

/// "If a logical type is invalid, implementations should ignore it and use the underlying Avro type."
fn primitive(name: &str, attributes: Option<&Map<String, Json>>) -> Option<Node> {
    let logical = logical(attributes);
    let node = match name {
        "null" => Node::Null,
        "boolean" => Node::Boolean,
        "int" => Node::Int(match logical {
            "date" => IntAs::Date,
            "time-millis" => IntAs::TimeMillis,
            _ => IntAs::Number,
        }),
        "long" => Node::Long(match logical {
            "time-micros" => LongAs::TimeMicros,
            "timestamp-millis" => LongAs::TimestampMillis,
            "timestamp-micros" => LongAs::TimestampMicros,
            "local-timestamp-millis" => LongAs::LocalTimestampMillis,
            "local-timestamp-micros" => LongAs::LocalTimestampMicros,
            // Nanoseconds are more than Python's datetime holds: the number is exact.
            _ => LongAs::Number,
        }),
        "float" => Node::Float,
        "double" => Node::Double,
        "bytes" => Node::Bytes(match (logical, attributes) {
            ("decimal", Some(object)) => decimal(object),
            _ => BytesAs::Bytes,
        }),
        "string" => Node::String(match logical {
            "uuid" => StringAs::Uuid,
            _ => StringAs::Text,
        }),
        _ => return None,
    };
    Some(node)
}

fn decimal(object: &Map<String, Json>) -> BytesAs {
    let number = |key| {
        object
            .get(key)
            .and_then(Json::as_u64)
            .and_then(|n| u32::try_from(n).ok())
    };
    let scale = object.get("scale").map_or(Some(0), |_| number("scale"));
    match (number("precision"), scale) {
        (Some(precision), Some(scale)) if precision > 0 && scale <= precision => BytesAs::Decimal { precision, scale },
        _ => BytesAs::Bytes,
    }
}
