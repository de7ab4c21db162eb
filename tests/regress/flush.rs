//! Invalidations that spare what they must remove, or remove what they should keep: large pages, globals, paging-structure caches.
//!
//! Contract: 7.5, 9.3. SDM vol. 3A, 4.10.4. Counterpart: `../sdm_caching.rs`, the sentences of the manual.

use crate::lockstep_support::history::{after, answers, last_request, lines, run, walks};

/// Row 5.
#[test]
fn an_invlpg_in_the_middle_of_a_huge_page_leaves_no_piece_of_it() {
    let tail_of = |size: &str| if size == "2m" { 0x20_0000 } else { 0x4000_0000 };
    for preset in ["default", "tiny"] {
        for size in ["2m", "1g"] {
            for flag in ["", "G"] {
                for tenth in [0u64, 3, 5, 9, 10] {
                    let inside = 0x4000_0000 + (tail_of(size) - 1) * tenth / 10;
                    let level = if size == "2m" { "pde" } else { "pdpte" };
                    let text = format!(
                        "config preset:{preset}\ntables 0x1000 accessed\nspace s 4\n\
                         map 0x40000000 -> 0x80000000 {size} rw user A D {flag}\nboot s PCIDE PGE\n\
                         read 0x40000008\nfetch 0x40000008\ndrain\nread 0x40001008\ndrain\n\
                         store {level}@0x40000000 = page {size} 0xc0000000 rw user A D {flag}\n\
                         invlpg {inside:#x}\ndrain\nread 0x40000008\nfetch 0x40001008\ndrain\n"
                    );
                    let trace = run(&text).trace;
                    let old = lines(&trace, &["response", "pa 0x8000"]);
                    assert_eq!(old, 3, "{inside:#x}: {trace}");
                    let behind = after(&trace, " control   invlpg");
                    for array in ["itlb", "dtlb", "stlb"] {
                        let removed = lines(behind, &["remove", &format!("{array}.{size}")]);
                        assert_eq!(removed, 1, "{array}, {inside:#x}: {trace}");
                    }
                    assert_eq!(lines(behind, &["response", "pa 0xc000"]), 2, "{trace}");
                }
            }
        }
    }
}

/// A table of 4 KiB pages that becomes a 2 MiB page while one of its pages is cached: both entries serve 0x401000 from then on.
const SMALL_UNDER_LARGE: &str = "\
tables 0x1000 accessed
space s 4
map 0x401000 -> 0x9000 4k rw user A D
map 0x402000 -> 0xa000 4k rw user A D
boot s PCIDE PGE
read 0x401000
read 0x402000
drain
store pde@0x401000 = page 2m 0xc00000 rw user A D
invlpg 0x7fff0000
drain
read 0x403000
drain
";

/// Row 5, of what is cached in smaller pieces: each piece that is named goes, and the large page as well.
#[test]
fn an_invlpg_of_a_page_held_in_two_sizes_leaves_neither() {
    for preset in ["default", "l1-only"] {
        let trace = run(&format!(
            "config preset:{preset}\n{SMALL_UNDER_LARGE}invlpg 0x401fff\ndrain\nread 0x401008\ndrain\nread 0x403008\ndrain\n"
        ))
        .trace;
        let behind = after(&trace, "invlpg 0x401fff");
        for array in ["dtlb.4k", "dtlb.2m"] {
            assert_eq!(lines(behind, &["remove", array]), 1, "{trace}");
        }
        answers(behind, &["pa 0xc01008 2m", "pa 0xc03008 2m"]);
        assert_eq!(walks(behind), 1, "{trace}");
    }
}

/// Row 8: no way is hit beside another; which of the two serves is the machine's choice, and it is the smaller.
#[test]
fn two_sizes_for_one_address_at_once_are_one_hit() {
    for preset in ["default", "l1-only"] {
        let trace = run(&format!(
            "config preset:{preset}\n{SMALL_UNDER_LARGE}read 0x401008\nread 0x402010\nread 0x404020\ndrain\n"
        ))
        .trace;
        let behind = after(&trace, "response  data1 #2");
        assert_eq!(lines(behind, &["data1 hit 4k"]), 2, "{trace}");
        assert_eq!(lines(behind, &["data1 hit 2m"]), 1, "{trace}");
        // Never a mixture of the two frames.
        answers(
            after(behind, "request   data1 #3"),
            &["pa 0x9008 4k", "pa 0xa010 4k", "pa 0xc04020 2m"],
        );
    }
}

/// Row 8, in one array: a global entry and one of a context for the same page.
#[test]
fn a_global_fill_beside_the_entry_of_a_context_is_no_second_match() {
    let trace = run(
        "tables 0x1000 accessed\nspace s 4\nmap 0x401000 -> 0x9000 4k rw user A D\nboot s PCIDE PGE\n\
         cr3 s|pcid=1\ndrain\nread 0x401000\ndrain\ncr3 s|pcid=2\ndrain\nread 0x401000\ndrain\n\
         store pte@0x401000 = page 4k 0xb000 rw user A D G\ncr3 s|pcid=3\ndrain\nread 0x401000\ndrain\n\
         cr3 s|pcid=1|keep\ndrain\nread 0x401000\ndrain\ncr3 s|pcid=2|keep\ndrain\nread 0x401000\ndrain\n\
         invlpg 0x401000\ndrain\nread 0x401000\ndrain\n",
    )
    .trace;
    for array in ["dtlb.4k", "stlb.4k"] {
        let replaced = "way 0: va 0x401000 pa 0x9000 pcid 1";
        assert_eq!(lines(&trace, &["evict", array, replaced]), 1, "{trace}");
        assert_eq!(lines(&trace, &["evict", array, "ways 1"]), 1, "{trace}");
    }
    // The entries of the contexts fell with the fill, so that the global one is all there is.
    assert_eq!(lines(&trace, &["response", "pa 0xb000"]), 4, "{trace}");
    let last = after(&trace, "control   invlpg");
    for array in ["dtlb.4k", "stlb.4k"] {
        assert_eq!(lines(last, &["remove", array]), 1, "{trace}");
        assert_eq!(
            lines(last, &["remove", array, ","]),
            0,
            "two ways:\n{trace}"
        );
    }
}

const SIZES: [(&str, &str); 3] = [("4k", "0x9000"), ("2m", "0xc00000"), ("1g", "0x80000000")];

/// Row 6.
#[test]
fn globals_hit_after_a_switch_survive_the_flush_of_a_pcid_and_die_with_invlpg() {
    for preset in ["default", "tiny"] {
        for (size, frame) in SIZES {
            let text = format!(
                "config preset:{preset}\ntables 0x1000 accessed\nspace s 4\nmap 0x40000000 -> {frame} {size} rw user A D G\n\
                 boot s PCIDE PGE\nread 0x40000000\ndrain\n\
                 cr3 s|pcid=1\ndrain\nread 0x40000000\ndrain\ninvpcid 1 pcid=0\ndrain\nread 0x40000000\ndrain\n\
                 invpcid 1 pcid=1\ndrain\nread 0x40000000\ndrain\ninvpcid 0 pcid=1 va=0x40000000\ndrain\nread 0x40000000\ndrain\n\
                 cr3 s\ndrain\nread 0x40000000\ndrain\ninvpcid 3\ndrain\nread 0x40000000\ndrain\n\
                 cr3 s|pcid=2\ndrain\ninvlpg 0x40000000\ndrain\nread 0x40000000\ndrain\n"
            );
            let trace = run(&text).trace;
            assert_eq!(walks(&trace), 2, "{trace}");
            assert_eq!(lines(&trace, &["data1 hit", size]), 6, "{trace}");
            let behind = after(&trace, "control   invlpg");
            assert_eq!(walks(behind), 1, "{trace}");
            assert_eq!(lines(behind, &["remove", "tlb."]), 2, "{trace}");
        }
    }
}

/// Row 6: the other context's own entry for the page must not be what a global one is, nor the reverse.
#[test]
fn what_is_not_global_does_not_serve_another_context() {
    for (size, frame) in SIZES {
        let text = format!(
            "tables 0x1000 accessed\nspace s 4\nmap 0x40000000 -> {frame} {size} rw user A D\n\
             space t 4\nmap 0x40000000 -> 0x140000000 {size} rw user A D\nboot s PCIDE PGE\nread 0x40000000\ndrain\n\
             cr3 t|pcid=0x100\ndrain\nread 0x40000000\ndrain\ncr3 s|keep\ndrain\nread 0x40000000\ndrain\n"
        );
        let trace = run(&text).trace;
        let (mine, other) = (
            format!("pa {frame} {size}"),
            format!("pa 0x140000000 {size}"),
        );
        answers(&trace, &[&mine, &other, &mine]);
        assert_eq!(walks(&trace), 2, "{trace}");
    }
}

/// Row 7: of any address, of one that nothing is cached for, of a global page.
#[test]
fn an_invlpg_of_one_address_leaves_no_paging_structure_entry_of_the_current_pcid() {
    for address in ["0x401000", "0x7f0000000000", "0xffff800000000000", "0x0"] {
        let text = format!(
            "tables 0x1000 accessed\nspace s 4\nmap 0x401000 -> 0x9000 4k rw user A D G\n\
             map 0x402000 -> 0xa000 4k rw user A D\nmap 0x403000 -> 0xb000 4k rw user A D\n\
             map 0x601000 -> 0xd000 4k rw user A D\nboot s PCIDE PGE\n\
             cr3 s|pcid=1\ndrain\nread 0x402000\ndrain\ncr3 s|pcid=2\ndrain\nread 0x401000\nread 0x601000\ndrain\n\
             invlpg {address}\ndrain\nread 0x403000\ndrain\n\
             cr3 s|pcid=1|keep\ndrain\nread 0x403000\ndrain\n"
        );
        let trace = run(&text).trace;
        let behind = after(&trace, "control   invlpg");
        for cache in ["psc.pde", "psc.pdpte", "psc.pml4e"] {
            assert_eq!(lines(behind, &["remove", cache]), 1, "{trace}");
        }
        let mine = &behind[..behind.find("cr3 0x").expect("a switch")];
        assert_eq!(lines(mine, &["starts at CR3"]), 1, "{trace}");
        assert_eq!(lines(mine, &["starts below"]), 0, "{trace}");
        // What another PCID has cached stays.
        let other = last_request(&trace);
        assert_eq!(lines(other, &["starts below a cached PDE"]), 1, "{trace}");
    }
}

/// Row 7, where it is seen without a monitor: a table that was replaced serves nobody behind the INVLPG of another page.
#[test]
fn a_table_that_was_replaced_serves_nobody_after_an_invlpg_of_another_page() {
    for preset in ["default", "tiny", "l1-only"] {
        for level in ["pde", "pdpte", "pml4e"] {
            let mut text = format!(
                "config preset:{preset}\ntables 0x1000 accessed\nspace s 4\nmap 0x401000 -> 0x9000 4k rw user A D\n\
                 map 0x402000 -> 0xa000 4k rw user A D\nspace t 4\nmap 0x402000 -> 0x1a000 4k rw user A D\n\
                 boot s\nread 0x401000\ndrain\n"
            );
            let below = match level {
                "pde" => "pte@0x400000/t",
                "pdpte" => "pde@0x0/t",
                _ => "pdpte@0x0/t",
            };
            text += &format!(
                "store {level}@0x402000/s = table {below} rw user A\ninvlpg 0x7fff0000\ndrain\nread 0x402000\ndrain\n"
            );
            let trace = run(&text).trace;
            answers(&trace, &["pa 0x9000 4k", "pa 0x1a000 4k"]);
        }
    }
}
