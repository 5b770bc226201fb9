//! The binary: hands over to the front door.

fn main() -> std::process::ExitCode {
    paynowd::cli::run()
}
