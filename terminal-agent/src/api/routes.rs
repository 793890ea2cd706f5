//! Every path and method of the API, in one table. The router is built from it, and a test holds it against `openapi.json`.

use axum::http::Method;

/// What a route does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the operationId of openapi.json, which documents it")]
pub enum Operation {
    Status,
    Openapi,
    Item,
    Weigh,
    Drawer,
    OpenDrawer,
    LearnDrawer,
    Scans,
    Day,
    OpenDay,
    CloseDay,
    OpenCart,
    Carts,
    Cart,
    AddLine,
    ChangeLine,
    RemoveLine,
    Park,
    Take,
    VoidCart,
    Tender,
    GiveBack,
    Sell,
    Return,
    MoveStock,
    Sales,
    Sale,
    Receipt,
    PrintCopy,
    VoidSale,
    Stock,
    StockOf,
    Totals,
}

/// A path with a method.
#[derive(Debug, Clone)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with its parameters in braces.
    pub path: &'static str,
    /// What it does.
    pub operation: Operation,
}

const fn route(method: Method, path: &'static str, operation: Operation) -> Route {
    Route { method, path, operation }
}

/// The table.
pub const ROUTES: [Route; 33] = {
    use Operation as Op;
    [
        route(Method::GET, "/v1/status", Op::Status),
        route(Method::GET, "/v1/openapi.json", Op::Openapi),
        route(Method::GET, "/v1/items/{code}", Op::Item),
        route(Method::GET, "/v1/scale", Op::Weigh),
        route(Method::GET, "/v1/drawer", Op::Drawer),
        route(Method::POST, "/v1/drawer/open", Op::OpenDrawer),
        route(Method::POST, "/v1/drawer/learn", Op::LearnDrawer),
        route(Method::GET, "/v1/scans", Op::Scans),
        route(Method::GET, "/v1/day", Op::Day),
        route(Method::POST, "/v1/day", Op::OpenDay),
        route(Method::POST, "/v1/day/close", Op::CloseDay),
        route(Method::POST, "/v1/carts", Op::OpenCart),
        route(Method::GET, "/v1/carts", Op::Carts),
        route(Method::GET, "/v1/carts/{cart}", Op::Cart),
        route(Method::POST, "/v1/carts/{cart}/lines", Op::AddLine),
        route(Method::PATCH, "/v1/carts/{cart}/lines/{line}", Op::ChangeLine),
        route(Method::DELETE, "/v1/carts/{cart}/lines/{line}", Op::RemoveLine),
        route(Method::POST, "/v1/carts/{cart}/park", Op::Park),
        route(Method::POST, "/v1/carts/{cart}/take", Op::Take),
        route(Method::POST, "/v1/carts/{cart}/void", Op::VoidCart),
        route(Method::POST, "/v1/carts/{cart}/tenders", Op::Tender),
        route(Method::DELETE, "/v1/carts/{cart}/tenders/{tender}", Op::GiveBack),
        route(Method::POST, "/v1/carts/{cart}/sale", Op::Sell),
        route(Method::POST, "/v1/returns", Op::Return),
        route(Method::POST, "/v1/stock-movements", Op::MoveStock),
        route(Method::GET, "/v1/sales", Op::Sales),
        route(Method::GET, "/v1/sales/{sale}", Op::Sale),
        route(Method::GET, "/v1/sales/{sale}/receipt", Op::Receipt),
        route(Method::POST, "/v1/sales/{sale}/print", Op::PrintCopy),
        route(Method::POST, "/v1/sales/{sale}/void", Op::VoidSale),
        route(Method::GET, "/v1/stock", Op::Stock),
        route(Method::GET, "/v1/stock/{code}", Op::StockOf),
        route(Method::GET, "/v1/totals", Op::Totals),
    ]
};

impl Operation {
    /// Its `operationId` in `openapi.json`.
    #[must_use]
    pub fn id(self) -> String {
        let name = format!("{self:?}");
        let (first, rest) = name.split_at(1);
        first.to_ascii_lowercase() + rest
    }
}
