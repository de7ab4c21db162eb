// Purpose: the page walker. It reads the path down to the page, judges it, and only then marks its
// entries accessed and dirty, from the root down; an entry that changed meanwhile makes it begin
// again. A walk that faults has changed nothing.
// Manual: SDM vol. 3A, 4.3 and 4.5 (entries), 4.6 (rights), 4.7 (error code), 4.8 (accessed and
// dirty).

module bmmu_walker
  import bmmu_pkg::*;
#(
  parameter int unsigned MaxPhyAddr = 46,
  parameter bit          Page1G     = 1'b1
) (
  input  logic         clk_i,
  input  logic         rst_ni,
  // start_i for one cycle; va_i, access_i and context_i then stand still until done_o, which is 1
  // for one cycle, with the outcome: the translation, or the error code of a page fault
  input  logic         start_i,
  input  logic [56:12] va_i,
  input  access_t      access_i,
  input  context_t     context_i,
  output logic         done_o,
  output outcome_e     outcome_o,
  output logic [5:0]   code_o,
  output tag_t         tag_o,
  output body_t        body_o,
  // cells: entries at their own address, of 8 bytes, or of 4 with the high half of the data 0;
  // cell_req_o stands until cell_ack_i
  output logic         cell_req_o,
  output logic         cell_swap_o,     // 0: read. 1: write cell_new_o if it holds cell_old_o
  output logic [51:0]  cell_addr_o,
  output logic         cell_short_o,    // an entry of 4 bytes
  output logic [63:0]  cell_old_o,
  output logic [63:0]  cell_new_o,
  input  logic         cell_ack_i,
  input  logic         cell_error_i,
  input  logic         cell_swapped_i,
  input  logic [63:0]  cell_data_i
);

  localparam logic [39:0] FrameMask = 40'((64'h1 << (MaxPhyAddr - 12)) - 64'h1);
  // Bits 20:13 of an entry for 4 MiB hold address bits 39:32. What of them is beyond MAXPHYADDR is
  // reserved, and so is bit 21.
  localparam int unsigned Pse36Bits = ((MaxPhyAddr < 40) ? MaxPhyAddr : 40) - 32;
  localparam logic [8:0] Pse36Reserved = ~9'((1 << Pse36Bits) - 1);
  localparam perm_t PermRoot = '{rw: 1'b1, us: 1'b1, xd: 1'b0, key: '0};

  typedef enum logic [2:0] {
    Idle,
    Read,    // the entry of level_q is on its way
    Judge,   // it has come
    Mark,    // the path is legal: set what has to be set in the entry of level_q
    Finish
  } state_e;

  state_e           state_q;
  logic [2:0]       level_q, leaf_q;
  logic [7:0][63:0] path_q;  // the entries by level: 1 to 5, and above the first one CR3
  perm_t            above_q;
  outcome_e         outcome_q;
  logic [5:0]       code_q;

  logic       long;
  logic [2:0] top, root;
  assign long = context_i.rules.long_mode;
  assign top  = !long ? 3'd2 : context_i.la57 ? 3'd5 : 3'd4;
  assign root = top + 3'd1;

  // The entry that is looked at, and the address at which it stands.
  logic [2:0]   above;
  logic [63:0]  entry;
  logic [51:12] table_frame;
  assign above       = level_q + 3'd1;
  assign entry       = path_q[level_q];
  assign table_frame = path_q[above][51:12] & (long ? FrameMask : 40'hfffff);

  always_comb begin
    cell_addr_o = {table_frame, 12'h0};
    unique case (level_q)
      3'd5:    cell_addr_o[11:3] = va_i[56:48];
      3'd4:    cell_addr_o[11:3] = va_i[47:39];
      3'd3:    cell_addr_o[11:3] = va_i[38:30];
      3'd2:    cell_addr_o[11:2] = long ? {va_i[29:21], 1'b0} : va_i[31:22];
      default: cell_addr_o[11:2] = long ? {va_i[20:12], 1'b0} : va_i[21:12];
    endcase
  end

  // What the entry means.
  logic  leaf, reserved;
  perm_t perm;
  size_e size;
  always_comb begin
    leaf = level_q == 3'd1 || (entry[7] && (long ? level_q <= 3'd3 : context_i.pse));
    if (long) begin
      reserved = (entry[51:12] & ~FrameMask) != '0 || (entry[63] && !context_i.nxe) ||
          (entry[7] && (level_q >= 3'd4 || (level_q == 3'd3 && !Page1G))) ||
          (leaf && level_q == 3'd2 && entry[20:13] != '0) ||
          (leaf && level_q == 3'd3 && entry[29:13] != '0);
    end else begin
      reserved = leaf && level_q == 3'd2 && (entry[21:13] & Pse36Reserved) != '0;
    end
    perm.rw  = above_q.rw && entry[1];
    perm.us  = above_q.us && entry[2];
    perm.xd  = above_q.xd || entry[63];
    perm.key = entry[62:59];
    unique case (level_q)
      3'd3:    size = Size1G;
      3'd2:    size = long ? Size2M : Size4M;
      default: size = Size4K;
    endcase
  end

  // The bits that a mark sets: accessed, and in the leaf of a write dirty.
  logic [63:0] marks;
  logic        at_leaf, marked;
  assign at_leaf = level_q == leaf_q;
  assign marks   = {57'h0, at_leaf && access_i.write, 1'b1, 5'h0};
  assign marked  = (entry & marks) == marks;

  assign cell_swap_o  = state_q == Mark;
  assign cell_req_o   = state_q == Read || (state_q == Mark && !marked);
  assign cell_short_o = !long;
  assign cell_old_o   = cell_swap_o ? entry : '0;
  assign cell_new_o   = cell_swap_o ? entry | marks : '0;

  denial_t denial;
  assign denial = judge(access_i, perm, context_i.rules);

  logic [5:0] code;
  logic       tell_fetch;
  assign tell_fetch = access_i.fetch && ((context_i.nxe && long) || context_i.rules.smep);
  assign code       = {1'b0, tell_fetch, 1'b0, access_i.user, access_i.write, 1'b0};

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q   <= Idle;
      level_q   <= '0;
      leaf_q    <= '0;
      path_q    <= '0;
      above_q   <= '0;
      outcome_q <= ResOk;
      code_q    <= '0;
    end else begin
      unique case (state_q)
        Idle: if (start_i) begin
          state_q      <= Read;
          level_q      <= top;
          path_q[root] <= {12'h0, context_i.root, 12'h0};
          above_q      <= PermRoot;
        end
        Read: if (cell_ack_i) begin
          path_q[level_q] <= cell_data_i;
          outcome_q       <= ResBusError;
          code_q          <= '0;
          state_q         <= cell_error_i ? Finish : Judge;
        end
        Judge: begin
          outcome_q <= ResFault;
          above_q   <= perm;
          if (!entry[0]) begin
            code_q  <= code;
            state_q <= Finish;
          end else if (reserved) begin
            code_q  <= code | 6'b001001;
            state_q <= Finish;
          end else if (!leaf) begin
            level_q <= level_q - 3'd1;
            state_q <= Read;
          end else if (denial.any) begin
            code_q  <= code | {denial.key, 5'b00001};
            state_q <= Finish;
          end else begin
            leaf_q  <= level_q;
            level_q <= top;
            state_q <= Mark;
          end
        end
        Mark: if (marked) begin
          outcome_q <= ResOk;
          level_q   <= at_leaf ? level_q : level_q - 3'd1;
          state_q   <= at_leaf ? Finish : Mark;
        end else if (cell_ack_i) begin
          if (cell_error_i) begin
            outcome_q <= ResBusError;
            state_q   <= Finish;
          end else if (cell_swapped_i) begin
            path_q[level_q] <= entry | marks;
          end else begin  // somebody changed the entry: what was read of the path is worth nothing
            level_q <= top;
            above_q <= PermRoot;
            state_q <= Read;
          end
        end
        default: state_q <= Idle;  // Finish
      endcase
    end
  end

  // In Finish after a legal walk, `entry` is the leaf, and above_q what the path allows.
  assign done_o    = state_q == Finish;
  assign outcome_o = outcome_q;
  assign code_o    = code_q;
  assign tag_o     = '{vpn: va_i, pcid: context_i.pcid, global_page: entry[8] && context_i.pge};
  always_comb begin
    body_o.perm       = above_q;
    body_o.dirty      = entry[6];
    body_o.page.size  = size;
    body_o.page.pwt   = entry[3];
    body_o.page.pcd   = entry[4];
    body_o.page.pat   = (size == Size4K) ? entry[7] : entry[12];
    body_o.page.frame = entry[51:12] & FrameMask;
    if (!long) body_o.page.frame = {12'h0, (size == Size4M) ? entry[20:13] : 8'h0, entry[31:12]};
    body_o.page.frame &= ~40'(inside_page(size));
  end

  nothing_is_kept_that_was_not_accessed :
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      done_o && outcome_o == ResOk |-> entry[5] && entry[0]);

  a_write_leaves_its_page_dirty :
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      done_o && outcome_o == ResOk && access_i.write |-> entry[6]);

  a_request_for_a_cell_stands_still :
  assert property (@(posedge clk_i) disable iff (!rst_ni) cell_req_o && !cell_ack_i |=>
      cell_req_o && $stable({cell_swap_o, cell_addr_o, cell_old_o, cell_new_o}));

  a_walk_starts_when_none_is_under_way :
  assert property (@(posedge clk_i) disable iff (!rst_ni) start_i |-> state_q == Idle);

  an_acknowledge_answers_a_request :
  assert property (@(posedge clk_i) disable iff (!rst_ni) cell_ack_i |-> cell_req_o);

endmodule
