//! The contract of `MetaStore`, each test on SQLite and on PostgreSQL.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that fails panics")]

mod blobs;
mod changes;
mod collection;
mod fixture;
mod grants;
mod keys;
mod listing;
mod locks;
mod manifests;
mod outages;
mod races;
mod registries;
mod repositories;
mod resources;
mod tenancy;
mod uploads;

use fixture::Fixture;

macro_rules! contract {
    ($($module:ident :: { $($name:ident),* $(,)? })*) => {
        mod sqlite {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$module::$name(super::Fixture::sqlite().await).await;
                }
            )*)*
        }

        mod postgres {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let fixture = super::Fixture::postgres().await;
                    let database = fixture.database();
                    super::$module::$name(fixture).await;
                    super::fixture::drop_database(&database).await;
                }
            )*)*
        }
    };
}

contract! {
    registries::{
        bootstrap_makes_one_registry_however_often_it_is_called,
        a_registry_name_is_taken_until_the_registry_is_deleted,
        an_update_with_an_old_etag_changes_nothing,
        a_password_replaces_the_one_of_its_slot,
        what_changes_policy_raises_the_generation,
        migrating_again_changes_nothing,
        a_database_of_version_one_keeps_its_content,
        a_setting_that_was_never_stored_has_its_default,
    }
    resources::{
        a_resource_is_found_by_id_and_by_name_in_any_case,
        a_name_is_unique_for_its_kind_below_its_parent,
        an_update_keeps_what_it_does_not_set,
        writes_are_done_all_or_not_at_all,
        writes_see_what_those_before_them_did,
        pages_of_resources_meet,
        eight_writers_with_etags_lose_nothing,
        of_writers_that_overlap_one_wins_whole,
        the_resources_of_a_deleted_registry_are_collected,
    }
    changes::{
        the_log_tells_what_changed_and_what_is_now,
        a_page_ends_where_a_transaction_ends,
        a_reader_misses_no_change_of_many_writers,
        loading_while_others_write_ends_up_with_everything,
        what_the_log_no_longer_holds_is_said,
    }
    tenancy::{
        names_of_tenants_are_unique_without_case,
        subscriptions_and_groups_live_below_their_parents,
        what_is_not_empty_is_not_deleted,
        a_group_whose_registries_are_deleted_can_go,
        a_registry_knows_its_tenant,
        tenancy_raises_the_generation,
        nothing_is_created_in_what_is_being_deleted,
        of_many_that_take_a_name_one_gets_it,
    }
    grants::{
        a_grant_is_read_until_it_ends,
        a_grant_is_taken_once,
        a_grant_is_updated_against_its_version,
        expired_grants_go_in_steps,
    }
    keys::{
        a_secret_is_the_same_for_everybody,
        rotated_keys_stay_until_they_retire,
        the_first_key_is_made_once,
    }
    repositories::{
        a_repository_is_in_the_catalog_while_it_holds_a_manifest,
        a_deleted_repository_leaves_its_name_and_the_time,
        a_new_repository_of_an_old_name_inherits_nothing,
        locks_are_patched_one_by_one,
    }
    blobs::{
        a_blob_is_seen_only_where_it_is_linked,
        the_second_upload_of_the_same_bytes_is_dropped,
        an_upload_commits_once,
        a_mount_needs_a_live_source,
        an_unlinked_blob_is_gone_from_its_repository_only,
        a_blob_that_a_manifest_needs_stays,
    }
    uploads::{
        an_upload_is_saved_against_its_version,
        a_cancelled_upload_is_buried_with_its_state,
        untouched_uploads_are_stale,
    }
    manifests::{
        a_manifest_is_found_by_tag_and_by_digest,
        missing_content_is_listed_and_nothing_is_written,
        a_manifest_with_a_thousand_layers,
        pushing_again_keeps_the_first_row,
        a_tag_moves_and_keeps_its_birthday,
        deleting_a_manifest_takes_its_tags,
        deleting_a_tag_leaves_the_manifest,
        a_child_of_an_index_can_be_deleted,
        quarantine_is_a_word_on_the_manifest,
    }
    locks::{
        a_locked_repository_takes_no_manifest,
        a_locked_tag_does_not_move,
        a_locked_manifest_can_be_pushed_again,
        the_lock_of_tag_or_manifest_counts_when_read_by_tag,
        what_is_locked_is_not_deleted,
        a_repository_with_something_locked_is_not_deleted,
    }
    listing::{
        names_are_ordered_by_their_bytes,
        pages_meet_without_gap_or_overlap,
        unlisted_things_are_left_out_on_request,
        manifests_come_with_their_tags,
        referrers_are_filtered_and_paged,
        a_limit_of_nothing_is_nothing,
    }
    collection::{
        a_blob_no_manifest_ever_named_goes_after_the_grace,
        a_blob_goes_after_its_last_manifest,
        a_blob_that_is_pushed_again_is_not_collected,
        a_blob_of_two_repositories_outlives_one,
        a_locked_repository_loses_nothing_to_collection,
        a_deleted_repository_is_emptied_and_then_forgotten,
        a_deleted_registry_is_removed_to_its_last_row,
        collection_looks_at_no_more_than_it_was_told,
    }
    races::{
        many_creators_of_one_name_get_one_repository,
        many_uploads_of_the_same_bytes_keep_one_object,
        servers_that_start_together_agree,
        only_one_of_many_saves_wins,
        collection_never_takes_what_is_being_pushed,
        a_manifest_never_loses_a_blob_to_a_deletion,
        deleting_and_pushing_leave_nothing_half_done,
    }
}
