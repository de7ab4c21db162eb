// Purpose: the unified TLB: fully associative, all page sizes, replaced in turn; looked up, filled
// and purged in one cycle each.
// Manual: SDM vol. 3A, 4.10.2 (what an entry may serve), 4.10.4 (what an invalidation removes).

module bmmu_tlb
  import bmmu_pkg::*;
#(
  parameter int unsigned Entries = 16
) (
  input  logic        clk_i,
  input  logic        rst_ni,
  // look-up, within the cycle
  input  logic [44:0] vpn_i,
  input  logic [11:0] pcid_i,
  output logic        hit_o,
  output body_t       body_o,
  // what matches the look-up is dropped
  input  logic        drop_i,
  // what an operation names is purged
  input  logic        purge_i,
  input  purge_t      purge_which_i,
  // fill; never in a cycle with a drop or a purge
  input  logic        fill_i,
  input  tag_t        fill_tag_i,
  input  body_t       fill_body_i
);

  localparam int unsigned IndexBits = (Entries > 1) ? $clog2(Entries) : 1;

  tag_t                 tag_q  [Entries];
  body_t                body_q [Entries];
  logic [Entries-1:0]   valid_q;
  logic [IndexBits-1:0] next_q;  // what is filled next if no entry is free

  logic [Entries-1:0]   match, gone;
  logic [IndexBits-1:0] target;

  function automatic logic same_page(logic [44:0] held, size_e size, logic [44:0] vpn);
    return ((held ^ vpn) & ~inside_page(size)) == 45'h0;
  endfunction

  // An address may match entries of different sizes, after software changed the size of its page:
  // any of them may serve.
  always_comb begin
    match  = '0;
    body_o = '0;
    for (int i = Entries - 1; i >= 0; i--) begin
      if (valid_q[i] && same_page(tag_q[i].vpn, body_q[i].page.size, vpn_i) &&
          (tag_q[i].global_page || tag_q[i].pcid == pcid_i)) begin
        match[i] = 1'b1;
        body_o   = body_q[i];
      end
    end
  end

  assign hit_o = |match;

  always_comb begin
    gone = drop_i ? match : '0;
    for (int i = 0; i < Entries; i++) begin
      if (purge_i &&
          (!purge_which_i.one_page ||
           same_page(tag_q[i].vpn, body_q[i].page.size, purge_which_i.vpn)) &&
          (tag_q[i].global_page ? purge_which_i.globals :
           !purge_which_i.one_pcid || tag_q[i].pcid == purge_which_i.pcid)) begin
        gone[i] = 1'b1;
      end
    end
  end

  always_comb begin
    target = next_q;
    for (int i = Entries - 1; i >= 0; i--) begin
      if (!valid_q[i]) target = IndexBits'(i);
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      valid_q <= '0;
      next_q  <= '0;
    end else if (fill_i) begin
      valid_q[target] <= 1'b1;
      if (&valid_q) next_q <= (next_q == IndexBits'(Entries - 1)) ? '0 : next_q + 1'b1;
    end else begin
      valid_q <= valid_q & ~gone;
    end
    if (fill_i) begin
      tag_q[target]  <= fill_tag_i;
      body_q[target] <= fill_body_i;
    end
  end

  fills_drops_and_purges_exclude_each_other :
  assert property (@(posedge clk_i) disable iff (!rst_ni) $onehot0({fill_i, drop_i, purge_i}));

  // The sequencer looks the page up, and drops what does not serve, before it walks.
  a_page_is_filled_only_if_nothing_serves_it :
  assert property (@(posedge clk_i) disable iff (!rst_ni) !(fill_i && hit_o));

  a_frame_is_aligned_to_its_page :
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      fill_i |-> (fill_body_i.page.frame & 40'(inside_page(fill_body_i.page.size))) == 40'h0);

endmodule
