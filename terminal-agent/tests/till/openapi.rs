//! The description of the API holds: every route is in it and nothing else, and every answer is what it says.

use crate::common::{Shop, text};
use crate::scale::{config_with_scale, melon_on_a_scale};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use terminal_agent::api::{OPENAPI, ROUTES};
use terminal_agent::config::File;
use toko_devices::cable::Pty;
use toko_devices::virtual_printer::{Options, Sensor, VirtualPrinter};

fn openapi() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

#[test]
fn every_route_is_described_and_every_description_is_a_route() {
    let openapi = openapi();
    let mut described = BTreeSet::new();
    for (path, methods) in openapi["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let id = text(&operation["operationId"]);
            described.insert((method.to_uppercase(), path.clone(), id));
        }
    }
    let routed: BTreeSet<_> =
        ROUTES.iter().map(|r| (r.method.to_string(), r.path.to_owned(), r.operation.id())).collect();
    assert_eq!(described, routed);
}

#[test]
fn every_parameter_of_a_path_is_described_and_every_change_carries_a_key() {
    let openapi = openapi();
    for route in ROUTES {
        let operation = &openapi["paths"][route.path][route.method.as_str().to_lowercase()];
        let parameters: Vec<&Value> = operation["parameters"]
            .as_array()
            .map(|all| all.iter().map(|parameter| resolve(&openapi, parameter)).collect())
            .unwrap_or_default();
        let named = |place: &str| -> BTreeSet<String> {
            parameters.iter().filter(|p| p["in"] == place).map(|p| text(&p["name"])).collect()
        };
        let in_path: BTreeSet<String> = route
            .path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .map(str::to_owned)
            .collect();
        assert_eq!(named("path"), in_path, "{}", route.path);
        let keyed = named("header").contains("Idempotency-Key");
        assert_eq!(keyed, route.method != "GET", "{} {}", route.method, route.path);
    }
}

#[test]
fn every_example_is_what_its_schema_says() {
    let openapi = openapi();
    let mut seen = 0;
    walk(&openapi, &mut |content| {
        if let Some(example) = content.get("example") {
            check(&openapi, &content["schema"], example, "example");
            seen += 1;
        }
    });
    assert!(seen > 40, "{seen} examples");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_till_answers_is_what_the_description_says() {
    let dir = tempfile::tempdir().unwrap();
    let scale = melon_on_a_scale();
    let mut config = config_with_scale(&scale);
    let options = Options { sensor: Sensor::HighOpen, ..Options::new(dir.path().join("paper")) };
    let printer = VirtualPrinter::spawn(options).await.unwrap();
    let mut file = File::default();
    file.printer.address = printer.address().to_string();
    file.drawer.hangs_on = "printer".into();
    let own = file.parse().unwrap();
    (config.printer, config.drawer) = (own.printer, own.drawer);
    let scanner = Pty::open().unwrap();
    config.scanner = Some(format!("serial:{}", scanner.path().display()).parse().unwrap());
    let shop = Shop::open_with(dir.path(), 1, &config).await;
    let openapi = openapi();
    let mut answered = BTreeSet::new();
    let mut said = |operation: &str, status: u16, body: &Value| {
        let schema = schema_of(&openapi, operation, status);
        check(&openapi, schema, body, operation);
        if status < 400 {
            answered.insert(operation.to_owned());
        }
    };
    let mut key = 0;
    let mut next = || {
        key += 1;
        format!("k{key}")
    };
    // Before anything opens the drawer by itself.
    for (stands, open) in [("shut", false), ("open", true)] {
        if open {
            printer.open_drawer().await
        } else {
            printer.close_drawer().await
        }
        let (status, learnt) =
            shop.call("POST", "/v1/drawer/learn", &next(), json!({ "stands": stands })).await;
        said("learnDrawer", status, &learnt);
        assert_eq!(learnt["sensor"].as_str(), open.then_some("high is open"));
    }
    let (status, day) = shop.call("POST", "/v1/day", &next(), json!({ "date": "2010-12-01" })).await;
    said("openDay", status, &day);
    let (status, cart) = shop.call("POST", "/v1/carts", &next(), json!({ "name": "x" })).await;
    said("openCart", status, &cart);
    let cart = format!("/v1/carts/{}", text(&cart["cart"]));
    let given =
        json!({ "code": "D", "qty": "1", "unit_price": "1", "name": "Discount", "price_reason": "y" });
    let (status, _) = shop.call("POST", &format!("{cart}/lines"), &next(), given).await;
    assert_eq!(status, 201);
    let (status, line) =
        shop.call("POST", &format!("{cart}/lines"), &next(), json!({ "code": "71053", "qty": "1" })).await;
    said("addLine", status, &line);
    let line = format!("{cart}/lines/{}", text(&line["line"]["line"]));
    let (status, changed) = shop.call("PATCH", &line, &next(), json!({ "qty": "2" })).await;
    said("changeLine", status, &changed);
    let (status, removed) = shop.call("DELETE", &line, &next(), json!(null)).await;
    said("removeLine", status, &removed);
    for kind in [
        json!({ "kind": "card", "amount": "0.10", "approval_code": "A", "terminal_id": "T", "last_four": "4242" }),
        json!({ "kind": "other", "amount": "0.10", "name": "voucher" }),
    ] {
        let (status, taken) = shop.call("POST", &format!("{cart}/tenders"), &next(), kind).await;
        said("tender", status, &taken);
    }
    let (_, taken) = shop
        .call("POST", &format!("{cart}/tenders"), &next(), json!({ "kind": "cash", "amount": "1" }))
        .await;
    let tender = format!("{cart}/tenders/{}", text(&taken["tenders"][0]["tender"]));
    let (status, back) = shop.call("DELETE", &tender, &next(), json!(null)).await;
    said("giveBack", status, &back);
    let (status, parked) = shop.call("POST", &format!("{cart}/park"), &next(), json!({})).await;
    said("park", status, &parked);
    said("carts", 200, &shop.get("/v1/carts").await);
    let (status, taken) = shop.call("POST", &format!("{cart}/take"), &next(), json!(null)).await;
    said("take", status, &taken);
    said("cart", 200, &shop.get(&cart).await);
    let paid = json!({ "tenders": [{ "kind": "cash", "amount": "5" }], "receipt": true });
    let (status, sale) = shop.call("POST", &format!("{cart}/sale"), &next(), paid).await;
    said("sell", status, &sale);
    let sale = format!("/v1/sales/{}", text(&sale["sale"]));
    said("sale", 200, &shop.get(&sale).await);
    said("receipt", 200, &shop.get(&format!("{sale}/receipt")).await);
    let (status, print) = shop.call("POST", &format!("{sale}/print"), &next(), json!({})).await;
    said("printCopy", status, &print);
    let (status, void) = shop.call("POST", &format!("{sale}/void"), &next(), json!({ "reason": "x" })).await;
    said("voidSale", status, &void);
    let other = shop.cart(&next()).await;
    let (status, void) = shop.call("POST", &format!("/v1/carts/{other}/void"), &next(), json!(null)).await;
    said("voidCart", status, &void);
    let back = json!({ "lines": [{ "code": "71053", "qty": "1" }], "tenders": [{ "kind": "cash", "amount": "3.39" }] });
    let (status, back) = shop.call("POST", "/v1/returns", &next(), back).await;
    said("return", status, &back);
    let moved = json!({ "reason": "count", "lines": [{ "code": "71053", "qty": "7" }] });
    let (status, moved) = shop.call("POST", "/v1/stock-movements", &next(), moved).await;
    said("moveStock", status, &moved);
    said("item", 200, &shop.get("/v1/items/71053").await);
    let ask = json!({ "reason": "no_sale", "cashier": "c7" });
    let (status, asked) = shop.call("POST", "/v1/drawer/open", &next(), ask).await;
    said("openDrawer", status, &asked);
    said("drawer", 200, &shop.get("/v1/drawer").await);
    said("scans", 200, &shop.get("/v1/scans").await);
    said("weigh", 200, &shop.get("/v1/scale").await);
    said("status", 200, &shop.get("/v1/status").await);
    said("openapi", 200, &shop.get("/v1/openapi.json").await);
    said("day", 200, &shop.get("/v1/day").await);
    said("sales", 200, &shop.get("/v1/sales").await);
    said("stock", 200, &shop.get("/v1/stock").await);
    said("stockOf", 200, &shop.get("/v1/stock/71053").await);
    said("totals", 200, &shop.get("/v1/totals").await);
    let (status, refused) = shop.call("POST", &format!("{cart}/sale"), &next(), json!({})).await;
    said("sell", status, &refused);
    let (status, closed) = shop.call("POST", "/v1/day/close", &next(), json!({})).await;
    said("closeDay", status, &closed);
    let all: BTreeSet<String> = ROUTES.iter().map(|route| route.operation.id()).collect();
    assert_eq!(answered, all, "every operation was answered once");
}

fn schema_of<'a>(openapi: &'a Value, operation: &str, status: u16) -> &'a Value {
    let paths = openapi["paths"].as_object().unwrap();
    let operations = paths.values().flat_map(|methods| methods.as_object().unwrap().values());
    let found = operations.into_iter().find(|described| described["operationId"] == operation).unwrap();
    let response = &found["responses"][status.to_string()];
    assert!(!response.is_null(), "{operation} says nothing of {status}");
    &resolve(openapi, response)["content"]["application/json"]["schema"]
}

fn resolve<'a>(openapi: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(path) => {
            openapi.pointer(path.trim_start_matches('#')).unwrap_or_else(|| panic!("{path} is there"))
        }
        None => value,
    }
}

fn walk(at: &Value, visit: &mut impl FnMut(&Value)) {
    match at {
        Value::Object(fields) => {
            if let Some(content) = fields.get("application/json") {
                visit(content);
            }
            fields.values().for_each(|value| walk(value, visit));
        }
        Value::Array(values) => values.iter().for_each(|value| walk(value, visit)),
        _ => {}
    }
}

/// The part of JSON Schema that the description uses.
fn check(openapi: &Value, schema: &Value, value: &Value, at: &str) {
    if let Err(problem) = judge(openapi, schema, value, at) {
        panic!("{problem}");
    }
}

fn judge(openapi: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let schema = resolve(openapi, schema);
    if let Some(choices) = schema["oneOf"].as_array() {
        let fits = choices.iter().filter(|choice| judge(openapi, choice, value, at).is_ok()).count();
        return if fits == 1 { Ok(()) } else { Err(format!("{at}: {fits} of oneOf fit {value}")) };
    }
    if let Some(wanted) = schema.get("const") {
        return if wanted == value { Ok(()) } else { Err(format!("{at}: {value} is not {wanted}")) };
    }
    if let Some(choices) = schema["enum"].as_array()
        && !choices.contains(value)
    {
        return Err(format!("{at}: {value} is none of {choices:?}"));
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(some) => some.iter().filter_map(Value::as_str).collect(),
        _ => return Ok(()),
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !types.contains(&kind) {
        return Err(format!("{at}: {value} is a {kind}, not a {types:?}"));
    }
    if let (Some(max), Some(text)) = (schema["maxLength"].as_u64(), value.as_str())
        && text.chars().count() as u64 > max
    {
        return Err(format!("{at}: {text:?} is longer than {max}"));
    }
    for (place, item) in value.as_array().into_iter().flatten().enumerate() {
        judge(openapi, &schema["items"], item, &format!("{at}[{place}]"))?;
    }
    if let (Some(fields), Some(properties)) = (value.as_object(), schema["properties"].as_object()) {
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                return Err(format!("{at}.{name} is missing"));
            }
        }
        for (name, field) in fields {
            let schema = properties.get(name).ok_or_else(|| format!("{at}.{name} is not described"))?;
            judge(openapi, schema, field, &format!("{at}.{name}"))?;
        }
    }
    Ok(())
}
