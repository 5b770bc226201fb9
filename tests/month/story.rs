//! The month as it is told: what goes wrong, on which day, and which findings stand at the end of which nights because
//! of it. Night 5 is the one after 5 March; its run is at half past two of the 6th. Whatever is not told here goes
//! well.

use paynowd::domain::Class;
use paynowd::simulator::Misbehaviour;

use super::town::{GOLD, SANDBOX, SHOP};
use Act::{
    Begins, BooksSay, BooksSayNow, CallsBack, GatewayAnswers, LosesPost, Moves, Orders, OrdersWithTrace, PostsForgery,
    PostsRecut, Resolves, StartsTraced,
};
use Hour::{Evening, Morning, Noon};

/// How many days the month has.
pub const DAYS: u32 = 31;

/// The end of what is still open when the month is over.
const EVER: u32 = 99;

/// When on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hour {
    Morning,
    Noon,
    Evening,
}

/// One thing that somebody does about an order.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// The books expect this sum, and the shop begins a payment of that sum at the gateway.
    Orders { expected: &'static str, begun: &'static str },
    /// The books expect USD 25.00 of somebody whom the shop has sent to the gateway by trace, or has not.
    OrdersWithTrace { begun: bool },
    /// The shop begins at the gateway what it has in its books by trace.
    StartsTraced,
    /// A payment is begun at the gateway; nobody tells the books.
    Begins(&'static str),
    /// The books expect this, and know of no payment.
    BooksSay(&'static str),
    /// The books are corrected.
    BooksSayNow(&'static str),
    /// The payment begun last moves, and the gateway posts it.
    Moves(&'static str),
    /// The same, but the post is lost.
    LosesPost(&'static str),
    /// The gateway posts again where the payment stands.
    CallsBack,
    /// A post of an earlier state arrives only now.
    ComesLate(&'static str),
    /// From now on polls are answered with this word. Nothing has happened.
    GatewayAnswers(&'static str),
    /// Somebody posts a genuine message with its fields cut anew.
    PostsRecut,
    /// Somebody posts a message signed with no key of ours.
    PostsForgery,
    /// A person says that this is settled.
    Resolves(Class),
}

/// A finding that a chapter brings about: open at the end of the nights from `first` on, and no more at the end of
/// `closed`.
#[derive(Clone, Copy, Debug)]
pub struct Finds {
    pub class: Class,
    pub first: u32,
    pub closed: u32,
    /// What it is about: the chapter's order, or an integration as a whole.
    pub of_integration: bool,
    /// Real money, or not.
    pub live: bool,
}

const fn finds(class: Class, first: u32, closed: u32) -> Finds {
    Finds { class, first, closed, of_integration: false, live: true }
}

const fn of_integration(class: Class, first: u32, closed: u32) -> Finds {
    Finds { of_integration: true, ..finds(class, first, closed) }
}

/// One thing that goes wrong, from its beginning to its end.
pub struct Chapter {
    pub tells: &'static str,
    pub order: &'static str,
    pub shop: &'static str,
    pub scenes: &'static [(u32, Hour, Act)],
    pub finds: &'static [Finds],
}

/// An order of this sum, begun with the same.
const ORDERS: Act = Orders { expected: "USD 25.00", begun: "25.00" };

pub const STORY: &[Chapter] = &[
    Chapter {
        tells: "a post never comes; asking by poll URL finds the money, and two days later the post comes after all",
        order: "FOUND-1",
        shop: SHOP,
        scenes: &[(3, Morning, ORDERS), (3, Noon, LosesPost("Paid")), (5, Noon, CallsBack)],
        finds: &[finds(Class::MissingInLedger, 3, 5)],
    },
    Chapter {
        tells: "a post never comes at all: told for a week",
        order: "FOUND-2",
        shop: SHOP,
        scenes: &[(4, Morning, ORDERS), (4, Noon, LosesPost("Paid"))],
        finds: &[finds(Class::MissingInLedger, 4, 11)],
    },
    Chapter {
        tells: "the same, found by trace",
        order: "FOUND-3",
        shop: SHOP,
        scenes: &[(6, Morning, OrdersWithTrace { begun: true }), (6, Noon, LosesPost("Paid"))],
        finds: &[finds(Class::MissingInLedger, 6, 13)],
    },
    Chapter {
        tells: "the gateway knows no such order, until the shop sends its customer there",
        order: "NOWHERE-1",
        shop: SHOP,
        scenes: &[
            (7, Morning, OrdersWithTrace { begun: false }),
            (10, Morning, StartsTraced),
            (10, Noon, Moves("Paid")),
        ],
        finds: &[finds(Class::MissingAtGateway, 7, 10)],
    },
    Chapter {
        tells: "money under a word that the books do not know, until somebody enters the order",
        order: "STRANGER-1",
        shop: SHOP,
        scenes: &[(5, Morning, Begins("25.00")), (5, Noon, Moves("Paid")), (8, Morning, BooksSay("USD 25.00"))],
        finds: &[finds(Class::UnknownReference, 5, 8)],
    },
    Chapter {
        tells: "the same, and nobody ever does",
        order: "STRANGER-2",
        shop: SHOP,
        scenes: &[(12, Morning, Begins("25.00")), (12, Noon, Moves("Paid"))],
        finds: &[finds(Class::UnknownReference, 12, EVER)],
    },
    Chapter {
        tells: "a customer pays five dollars too little",
        order: "SHORT-1",
        shop: SHOP,
        scenes: &[(6, Morning, Orders { expected: "USD 25.00", begun: "20.00" }), (6, Noon, Moves("Paid"))],
        finds: &[finds(Class::Underpaid, 6, EVER)],
    },
    Chapter {
        tells: "another does, brings the rest in cash, and the owner says so",
        order: "SHORT-2",
        shop: SHOP,
        scenes: &[
            (9, Morning, Orders { expected: "USD 25.00", begun: "24.99" }),
            (9, Noon, Moves("Paid")),
            (11, Noon, Resolves(Class::Underpaid)),
        ],
        finds: &[finds(Class::Underpaid, 9, 11)],
    },
    Chapter {
        tells: "a customer pays too much, until the books say that it was for more",
        order: "OVER-1",
        shop: SHOP,
        scenes: &[
            (8, Morning, Orders { expected: "USD 25.00", begun: "30.00" }),
            (8, Evening, Moves("Paid")),
            (10, Morning, BooksSayNow("USD 30.00")),
        ],
        finds: &[finds(Class::Overpaid, 8, 10)],
    },
    Chapter {
        tells: "an order in gold dollars is paid in United States dollars",
        order: "GOLDEN-1",
        shop: SHOP,
        scenes: &[(10, Morning, Orders { expected: "ZWG 25.00", begun: "25.00" }), (10, Noon, Moves("Paid"))],
        finds: &[finds(Class::CurrencyMismatch, 10, EVER)],
    },
    Chapter {
        tells: "the gateway says of money that it was only sent, and two days later that it is paid after all",
        order: "BACKWARD-1",
        shop: SHOP,
        scenes: &[
            (8, Morning, ORDERS),
            (8, Noon, Moves("Paid")),
            (9, Noon, GatewayAnswers("Sent")),
            (11, Noon, GatewayAnswers("Paid")),
        ],
        finds: &[finds(Class::StatusMismatch, 9, 11)],
    },
    Chapter {
        tells: "the gateway uses a word that nobody has documented",
        order: "ODD-1",
        shop: SHOP,
        scenes: &[
            (13, Morning, ORDERS),
            (13, Noon, Moves("Paid")),
            (14, Noon, GatewayAnswers("Under Review")),
            (16, Noon, GatewayAnswers("Paid")),
        ],
        finds: &[finds(Class::StatusMismatch, 14, 16)],
    },
    Chapter {
        tells: "a customer takes four days to give up",
        order: "STUCK-1",
        shop: SHOP,
        scenes: &[(9, Morning, ORDERS), (13, Noon, Moves("Cancelled"))],
        finds: &[finds(Class::StuckPending, 10, 13)],
    },
    Chapter {
        tells: "another never does: two weeks of asking, and told for one more",
        order: "STUCK-2",
        shop: SHOP,
        scenes: &[(2, Morning, ORDERS)],
        finds: &[finds(Class::StuckPending, 3, 23)],
    },
    Chapter {
        tells: "money comes for an order that was cancelled, and the owner delivers it",
        order: "LATE-1",
        shop: SHOP,
        scenes: &[
            (11, Morning, ORDERS),
            (11, Noon, Moves("Cancelled")),
            (12, Noon, Moves("Paid")),
            (14, Noon, Resolves(Class::PaidLate)),
        ],
        finds: &[finds(Class::PaidLate, 12, 14)],
    },
    Chapter {
        tells: "the same, and nobody looks",
        order: "LATE-2",
        shop: SHOP,
        scenes: &[(19, Morning, ORDERS), (19, Noon, Moves("Failed")), (20, Noon, Moves("Paid"))],
        finds: &[finds(Class::PaidLate, 20, EVER)],
    },
    Chapter {
        tells: "an order is paid twice, and one payment goes back, which is told once",
        order: "TWICE-1",
        shop: SHOP,
        scenes: &[
            (13, Morning, ORDERS),
            (13, Noon, Moves("Paid")),
            (14, Morning, Begins("25.00")),
            (14, Noon, Moves("Paid")),
            (16, Noon, Moves("Refunded")),
        ],
        finds: &[finds(Class::DuplicatePayment, 14, 16), finds(Class::Reversed, 16, 17)],
    },
    Chapter {
        tells: "another is, and nobody sends anything back",
        order: "TWICE-2",
        shop: SHOP,
        scenes: &[
            (21, Morning, ORDERS),
            (21, Noon, Moves("Paid")),
            (21, Noon, Begins("25.00")),
            (21, Evening, Moves("Paid")),
        ],
        finds: &[finds(Class::DuplicatePayment, 21, EVER)],
    },
    Chapter {
        tells: "a customer disputes a payment and comes round",
        order: "DISPUTE-1",
        shop: SHOP,
        scenes: &[
            (4, Morning, ORDERS),
            (4, Noon, Moves("Paid")),
            (6, Noon, Moves("Disputed")),
            (9, Noon, Moves("Paid")),
        ],
        finds: &[finds(Class::Reversed, 6, 9)],
    },
    Chapter {
        tells: "a payment goes back, which is told once",
        order: "REFUND-1",
        shop: SHOP,
        scenes: &[(15, Morning, ORDERS), (15, Noon, Moves("Paid")), (18, Noon, Moves("Refunded"))],
        finds: &[finds(Class::Reversed, 18, 19)],
    },
    Chapter {
        tells: "the gateway holds money for twelve days",
        order: "HELD-1",
        shop: SHOP,
        scenes: &[
            (5, Morning, ORDERS),
            (5, Noon, Moves("Awaiting Delivery")),
            (15, Noon, Moves("Delivered")),
            (17, Noon, Moves("Paid")),
        ],
        finds: &[finds(Class::EscrowAgeing, 12, 17)],
    },
    Chapter {
        tells: "a post says paid on the evening that the gateway answers nothing, until the next morning",
        order: "NIGHT-1",
        shop: SHOP,
        scenes: &[(10, Noon, ORDERS), (10, Evening, Moves("Paid"))],
        finds: &[finds(Class::PaidUnconfirmed, 10, 11)],
    },
    Chapter {
        tells: "somebody moves a digit to the amount of a genuine post: two fields disagree, until the owner has looked",
        order: "RECUT-1",
        shop: SHOP,
        scenes: &[
            (17, Morning, ORDERS),
            (17, Noon, Moves("Paid")),
            (17, Evening, PostsRecut),
            (20, Noon, Resolves(Class::ContradictingPost)),
        ],
        finds: &[finds(Class::ContradictingPost, 17, 20), finds(Class::ContradictingPost, 17, 20)],
    },
    Chapter {
        tells: "somebody posts forgeries: told for a week",
        order: "FORGED-1",
        shop: SHOP,
        scenes: &[
            (18, Morning, ORDERS),
            (18, Noon, PostsForgery),
            (18, Noon, PostsForgery),
            (18, Evening, Moves("Paid")),
        ],
        finds: &[of_integration(Class::RefusedPosts, 18, 25)],
    },
    Chapter {
        tells: "for two days no post reaches the other shop; what it was paid is in SILENT below",
        order: "GOLD",
        shop: GOLD,
        scenes: &[],
        finds: &[of_integration(Class::CallbackSilence, 12, 14)],
    },
    Chapter {
        tells: "a real order is paid with test money, until the owner has called the customer",
        order: "PLAY-1",
        shop: SHOP,
        scenes: &[(19, Morning, BooksSay("USD 25.00")), (22, Noon, Resolves(Class::TestMoney))],
        finds: &[finds(Class::TestMoney, 19, 22)],
    },
    Chapter {
        tells: "that payment",
        order: "PLAY-1",
        shop: SANDBOX,
        scenes: &[(19, Morning, Begins("25.00")), (19, Noon, Moves("Paid"))],
        finds: &[],
    },
    Chapter {
        tells: "a sale that only the sandbox knows says less than its order: listed, and nobody's to act on",
        order: "PLAY-2",
        shop: SANDBOX,
        scenes: &[(24, Morning, Orders { expected: "USD 25.00", begun: "5.00" }), (24, Noon, Moves("Paid"))],
        finds: &[Finds { live: false, ..finds(Class::Underpaid, 24, EVER) }],
    },
    Chapter {
        tells: "the first settlement file lacks a payment, the second has it",
        order: "UNSETTLED-1",
        shop: SHOP,
        scenes: &[(4, Morning, ORDERS), (4, Noon, Moves("Paid"))],
        finds: &[finds(Class::SettlementMissing, 10, 17)],
    },
    Chapter {
        tells: "no settlement file ever has this one",
        order: "UNSETTLED-2",
        shop: SHOP,
        scenes: &[(18, Morning, ORDERS), (18, Noon, Moves("Paid"))],
        finds: &[finds(Class::SettlementMissing, 24, EVER)],
    },
    Chapter {
        tells: "a payment is paid out with a dollar less",
        order: "CLIPPED-1",
        shop: SHOP,
        scenes: &[(12, Morning, ORDERS), (12, Noon, Moves("Paid"))],
        finds: &[finds(Class::SettlementShort, 17, EVER)],
    },
    Chapter {
        tells: "a settlement file has a line for an order that nobody knows",
        order: "NOBODY-1",
        shop: SHOP,
        scenes: &[],
        finds: &[of_integration(Class::SettlementMissing, 24, EVER)],
    },
];

/// On these days no post of the other shop arrives. Each of its payments is found by asking, and told for a week.
pub const SILENT: [u32; 2] = [12, 13];

/// What a payment that is only found by asking brings.
pub const fn found_by_asking(day: u32) -> Finds {
    finds(Class::MissingInLedger, day, day + 7)
}

/// When the gateway answers no poll, and what it does instead. Those of an evening last until the morning; the others
/// only until the next hour of this story, and nothing is found because of them.
pub const OUTAGES: &[(u32, Hour, Misbehaviour)] = &[
    (3, Noon, Misbehaviour::Html),
    (10, Evening, Misbehaviour::Html),
    (15, Noon, Misbehaviour::UnsignedError),
    (19, Morning, Misbehaviour::ErrorThenOk),
    (22, Noon, Misbehaviour::Redirect),
    (25, Noon, Misbehaviour::Lie),
];

/// The night on which there was no power: its run is made up in the morning.
pub const DARK: u32 = 23;

/// The mornings on which a settlement file comes, and a line of each that is not as it should be.
pub const FILES: [u32; 4] = [10, 17, 24, 31];

/// How long after this day the file has it; `None` never.
pub fn paid_out(order: &str) -> PaidOut {
    match order {
        "UNSETTLED-1" => PaidOut::On(12),
        "UNSETTLED-2" => PaidOut::Never,
        "CLIPPED-1" => PaidOut::Short("24.00"),
        _ => PaidOut::InTime,
    }
}

/// How a payment is paid out.
pub enum PaidOut {
    InTime,
    On(u32),
    Short(&'static str),
    Never,
}

/// A line of the third file that belongs to nobody: its day, order and sum.
pub const NOBODYS_LINE: (u32, u32, &str, &str) = (24, 20, "NOBODY-1", "50.00");
