//! The command line as its user sees it: arguments in; standard output, standard error and exit code out.

#[cfg(test)]
mod account;
#[cfg(test)]
mod administration;
#[cfg(test)]
mod check_health;
#[cfg(test)]
mod configuration;
#[cfg(test)]
mod directory;
#[cfg(test)]
mod elsewhere;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod images;
#[cfg(test)]
mod login;
#[cfg(test)]
mod machine;
#[cfg(test)]
mod roles;
#[cfg(test)]
mod serving;
#[cfg(test)]
#[path = "../../../../crates/pull/tests/pull/fake.rs"]
mod signin_fake;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod usage;
