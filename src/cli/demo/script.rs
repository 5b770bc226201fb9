//! The play: nine short scenes of a shop's day, and what ledger and letters must look like afterwards.

use super::stage::{Stage, Trouble};
use crate::cli::output;
use crate::domain::{Class, Status, Trust};
use crate::ledger::Story;
use crate::simulator::{ButtonSale, PostSpec, Recut, Signature};

/// What the ledger must say at the end: reference, status, trust.
const LEDGER: [(&str, Status, Trust); 8] = [
    ("INV-1042", Status::Paid, Trust::Confirmed),
    ("INV-1043", Status::Paid, Trust::Confirmed),
    ("INV-1044", Status::Cancelled, Trust::Confirmed),
    ("INV-1045", Status::Paid, Trust::Confirmed),
    ("INV-1047", Status::Created, Trust::Confirmed),
    ("INV-1048", Status::Paid, Trust::Confirmed),
    ("40222", Status::Paid, Trust::Unconfirmable),
    ("ZAM-77", Status::Paid, Trust::Confirmed),
];

/// What the letters must say at the end, in any order.
const LETTERS: [&str; 9] = [
    "Paid: USD 25.00, INV-1042",
    "Awaiting Delivery: USD 40.00, INV-1043",
    "Delivered: USD 40.00, INV-1043",
    "Paid: USD 40.00, INV-1043",
    "Cancelled: USD 15.50, INV-1044",
    "Paid: USD 9.99, INV-1045",
    "Paid: USD 60.00, INV-1048",
    "Paid: USD 25.00, Paynow 40222",
    "Paid: ZAM-77",
];

/// Plays every scene, then compares.
pub(super) async fn play(stage: &Stage) -> Result<(), Trouble> {
    paid(stage).await?;
    escrow(stage).await?;
    cancelled(stage).await?;
    duplicates(stage).await?;
    forged(stage).await?;
    recut(stage).await?;
    lost_callback(stage).await?;
    button(stage).await?;
    poland(stage).await?;
    compare(stage).await
}

async fn paid(stage: &Stage) -> Result<(), Trouble> {
    scene("1. A customer pays INV-1042. Paynow posts it, paynowd asks Paynow whether it is true.");
    let payment = stage.gateway.initiate("INV-1042", "25.00", Some(&stage.url("shop")));
    let delivery = stage.gateway.move_to(&payment.guid, "Paid").await?;
    answered(delivery.status(), 200)?;
    tell(&stage.wait_for("INV-1042", confirmed(Status::Paid)).await?);
    Ok(())
}

async fn escrow(stage: &Stage) -> Result<(), Trouble> {
    scene("2. INV-1043 is paid into escrow, delivered, then released. All three mean the customer has paid.");
    let payment = stage.gateway.initiate("INV-1043", "40.00", Some(&stage.url("shop")));
    for (word, status) in
        [("Awaiting Delivery", Status::AwaitingDelivery), ("Delivered", Status::Delivered), ("Paid", Status::Paid)]
    {
        stage.gateway.move_to(&payment.guid, word).await?;
        tell(&stage.wait_for("INV-1043", confirmed(status)).await?);
    }
    Ok(())
}

async fn cancelled(stage: &Stage) -> Result<(), Trouble> {
    scene("3. The customer of INV-1044 changes their mind.");
    let payment = stage.gateway.initiate("INV-1044", "15.50", Some(&stage.url("shop")));
    stage.gateway.move_to(&payment.guid, "Cancelled").await?;
    tell(&stage.wait_for("INV-1044", confirmed(Status::Cancelled)).await?);
    Ok(())
}

async fn duplicates(stage: &Stage) -> Result<(), Trouble> {
    scene("4. Paynow posts the payment of INV-1045 four times. It is recorded each time, and told once.");
    let payment = stage.gateway.initiate("INV-1045", "9.99", Some(&stage.url("shop")));
    stage.gateway.move_to(&payment.guid, "Paid").await?;
    for _ in 0..3 {
        answered(Some(stage.gateway.post(&payment.guid, &PostSpec::status("Paid")).await?), 200)?;
    }
    let story = stage.wait_for("INV-1045", |story| confirmed(Status::Paid)(story) && posts(story) == 4).await?;
    tell(&story);
    Ok(())
}

async fn forged(stage: &Stage) -> Result<(), Trouble> {
    scene("5. Somebody who does not have the key claims that INV-1046 is paid.");
    let payment = stage.gateway.initiate("INV-1046", "500.00", Some(&stage.url("shop")));
    let answer = stage.gateway.post(&payment.guid, &PostSpec::status("Paid").signed(Signature::Wrong)).await?;
    answered(Some(answer), 403)?;
    output::line("   answered 403, kept in quarantine, not in the ledger");
    Ok(())
}

async fn recut(stage: &Stage) -> Result<(), Trouble> {
    scene("6. Somebody moves a digit of a genuine message from one field to the next: the hash still matches.");
    let payment = stage.gateway.initiate("INV-1047", "1.00", Some(&stage.url("shop")));
    let spec = PostSpec::status("Created").recut(Recut::GatewayReferenceToAmount);
    answered(Some(stage.gateway.post(&payment.guid, &spec).await?), 200)?;
    let story = stage
        .wait_for("INV-1047", |story| {
            story.discrepancies.iter().any(|finding| finding.class == Class::ContradictingPost)
                && story.known.payment.facts.amount.is_some_and(|amount| amount.to_string() == "1.00")
        })
        .await?;
    tell(&story);
    for finding in &story.discrepancies {
        output::line(format!(
            "   {}: the post said {}, Paynow says {}",
            finding.class.code(),
            finding.found,
            finding.expected
        ));
    }
    Ok(())
}

async fn lost_callback(stage: &Stage) -> Result<(), Trouble> {
    scene("7. INV-1048 is paid, but Paynow's post never arrives. paynowd asks, and finds out.");
    let payment = stage.gateway.initiate("INV-1048", "60.00", Some(&stage.url("shop")));
    stage.gateway.move_to(&payment.guid, "Sent").await?;
    stage.wait_for("INV-1048", |story| story.known.payment.status == Status::Pending).await?;
    stage.gateway.set_status(&payment.guid, "Paid")?;
    tell(&stage.wait_for("INV-1048", confirmed(Status::Paid)).await?);
    Ok(())
}

async fn button(stage: &Stage) -> Result<(), Trouble> {
    scene("8. A custom button sells something for 25.00; the customer pays 26.30 with fees. Nobody can be asked.");
    let sale = ButtonSale { reference: "40222".into(), paid: "26.30".into(), ..ButtonSale::default() };
    answered(Some(stage.gateway.post_button(&stage.url("button"), &sale).await?), 200)?;
    tell(&stage.wait_for("40222", |story| story.known.payment.trust == Trust::Unconfirmable).await?);
    Ok(())
}

async fn poland(stage: &Stage) -> Result<(), Trouble> {
    scene(
        "9. A customer in Poland pays ZAM-77. NEW arrives, CONFIRMED is lost; paynowd asks. No message says how much.",
    );
    let payment = stage.poland.create("ZAM-77", 4599, Some(&stage.url("poland")));
    answered(stage.poland.move_to(&payment, "NEW").await?.status(), 200)?;
    tell(&stage.wait_for("ZAM-77", |story| story.known.payment.status == Status::Created).await?);
    stage.poland.set_status(&payment, "CONFIRMED")?;
    let story = stage.wait_for("ZAM-77", confirmed(Status::Paid)).await?;
    tell(&story);
    if let Some(amount) = story.known.payment.facts.amount {
        return Err(Trouble::Unexpected(format!("the amount of ZAM-77 should be unknown, but is {amount}")));
    }
    Ok(())
}

/// Ledger and letters against what the script implies.
async fn compare(stage: &Stage) -> Result<(), Trouble> {
    let found: Vec<(String, Status, Trust)> = stage
        .payments()?
        .into_iter()
        .map(|payment| {
            let facts = payment.facts;
            let name = facts.reference.map(|it| it.to_string()).or(facts.gateway_reference.map(|it| it.to_string()));
            (name.unwrap_or_default(), payment.status, payment.trust)
        })
        .collect();
    if found.iter().map(|(name, status, trust)| (name.as_str(), *status, *trust)).ne(LEDGER) {
        return Err(Trouble::Unexpected(format!("the ledger should hold {LEDGER:?}, but holds {found:?}")));
    }
    stage.wait_for_letters(LETTERS.len()).await?;
    let mut subjects: Vec<String> = stage.letters()?.into_iter().map(|letter| letter.subject).collect();
    subjects.sort_unstable();
    let mut wanted = LETTERS;
    wanted.sort_unstable();
    if subjects != wanted {
        return Err(Trouble::Unexpected(format!("the letters should be {wanted:?}, but are {subjects:?}")));
    }
    Ok(())
}

fn scene(what: &str) {
    output::line(what);
}

fn tell(story: &Story) {
    let payment = &story.known.payment;
    let events = story.events.len();
    output::line(format!(
        "   {} ({}), {} event{}",
        payment.status.label(),
        payment.trust.code(),
        events,
        if events == 1 { "" } else { "s" }
    ));
}

fn answered(status: Option<u16>, wanted: u16) -> Result<(), Trouble> {
    match status {
        Some(status) if status == wanted => Ok(()),
        Some(status) => Err(Trouble::Unexpected(format!("answered {status} where the script implies {wanted}"))),
        None => Err(Trouble::Unexpected("a post was not answered".into())),
    }
}

fn confirmed(status: Status) -> impl Fn(&Story) -> bool {
    move |story| story.known.payment.status == status && story.known.payment.trust == Trust::Confirmed
}

fn posts(story: &Story) -> usize {
    story.events.iter().filter(|event| event.channel == "post").count()
}
