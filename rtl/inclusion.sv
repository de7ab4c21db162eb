// The inclusion: what the STLB evicts leaves the first level too.
//
// Contract: section 7.6. Counterpart: src/model/inclusion.rs.
//
// One eviction is kept at most: until it performed, nothing commits, and so nothing fills the STLB.

module inclusion
  import mmu_pkg::*;
#(
    /// The STLB is inclusive.
    parameter bit INCLUSIVE = 1'b0
) (
    /// Clock.
    input  logic          clk_i,
    /// Synchronous reset, active low.
    input  logic          rst_ni,
    // From control and commit.
    /// Control is busy.
    input  logic          busy_i,
    /// What is invalidated, or initialised, in all levels.
    input  invalidation_t invalidation_i,
    /// Page number of an invalidation by page.
    input  page_number_t  invalidate_page_i,
    // From the STLB.
    /// An entry is evicted,
    input  logic          evicts_i,
    /// and this is its tag.
    input  tlb_tag_t      evicted_i,
    // To all that give way, and to the STLB.
    /// The back-invalidation performs: nothing is looked up in L1, and nothing commits.
    output logic          performs_o,
    /// Tag of what was evicted.
    output tlb_tag_t      tag_o,
    // To the first level.
    /// What is invalidated, or initialised.
    output invalidation_t invalidation_o,
    /// Page number of an invalidation by page.
    output page_number_t  invalidate_page_o
);

  if (INCLUSIVE) begin : gen_inclusive
    logic     pending_q;
    tlb_tag_t tag_q;

    assign performs_o = pending_q && !busy_i;
    assign tag_o = tag_q;

    always_comb begin : choose_invalidation
      invalidation_o = invalidation_i;
      invalidate_page_o = invalidate_page_i;
      if (performs_o) begin
        invalidation_o.performs = 1'b1;
        invalidation_o.rule = '{
            by_page: 1'b1,
            by_whole_page: 1'b0,
            any_pcid: 1'b0,
            globals: tag_q.global_page,
            only_globals: tag_q.global_page
        };
        invalidation_o.sizes = sizes_t'(1) << size_bit(tag_q.kept_size);
        invalidation_o.pcid = tag_q.pcid;
        invalidate_page_o = tag_q.page_number;
      end
    end

    always_ff @(posedge clk_i) begin : pending
      if (!rst_ni) pending_q <= 1'b0;
      else if (evicts_i) pending_q <= 1'b1;
      else if (performs_o) pending_q <= 1'b0;
    end

    // Meaningful while it is pending, so it needs no reset.
    always_ff @(posedge clk_i) begin : tag
      if (evicts_i) tag_q <= evicted_i;
    end

`ifndef SYNTHESIS
    always_ff @(posedge clk_i) begin : assertions
      if (rst_ni && pending_q) begin
        nothing_is_evicted_before_the_last_eviction_performed :
        assert (!evicts_i && !(performs_o && invalidation_i.performs))
        else $error("evicts %b, invalidates %b", evicts_i, invalidation_i.performs);
      end
    end
`endif
  end else begin : gen_not_inclusive
    logic unused_inputs;
    assign unused_inputs = ^{clk_i, rst_ni, busy_i, evicts_i, evicted_i};
    assign performs_o = 1'b0;
    assign tag_o = '0;
    assign invalidation_o = invalidation_i;
    assign invalidate_page_o = invalidate_page_i;
  end

endmodule
